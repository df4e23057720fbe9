#!/bin/sh
# TDT, which learns without identities, and JDE, which learns from them, on the same data.
# $PIPELINE is the student, by default tdt-r50; $TEACHER, by default osnet_x1_0, and
# $TEACHER_WEIGHTS are the re-ID network that is distilled. $INIT is by default imagenet and
# applies to the student alone.
#
#     sh examples/training/tables/tdt-identities.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

student=${PIPELINE:-tdt-r50}
student_init=${INIT:-imagenet}
INIT=
columns MOTA IDF1 FP FN IDs FPS
row "JDE" jde-1088x608
INIT=$student_init
taught "${TEACHER:-osnet_x1_0}" "${TEACHER_WEIGHTS:-}"
row "TDT" "$student"
