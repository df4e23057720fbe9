#!/bin/sh
# TDT: how many of the teacher's dimensions the student learns (D_s).
# $PIPELINE is the student, by default tdt-r50; $TEACHER, by default osnet_x1_0, and
# $TEACHER_WEIGHTS are the re-ID network that is distilled. $INIT is by default imagenet.
#
#     sh examples/training/tables/tdt-dimensions.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

INIT=${INIT:-imagenet}
student=${PIPELINE:-tdt-r50}
taught "${TEACHER:-osnet_x1_0}" "${TEACHER_WEIGHTS:-}"
columns MOTA IDF1 IDs TPR FPS
row "64" "$student" --embedding-size 64
row "128" "$student" --embedding-size 128
row "256" "$student" --embedding-size 256
row "512" "$student"
