#!/bin/sh
# TDT, which needs no identities, beside JDE, which learns from them on the same data.
# $PIPELINE is the student, by default tdt-r50; $TEACHER, by default osnet_x1_0, and
# $TEACHER_WEIGHTS name the re-ID network that teaches. $INIT, the student's, is by default imagenet.
#
#     sh examples/training/tables/tdt-identities.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

student=${PIPELINE:-tdt-r50}
begun=${INIT:-imagenet}
INIT=
columns MOTA IDF1 FP FN IDs FPS
row "JDE" jde-1088x608
INIT=$begun
taught "${TEACHER:-osnet_x1_0}" "${TEACHER_WEIGHTS:-}"
row "TDT" "$student"
