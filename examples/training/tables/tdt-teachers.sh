#!/bin/sh
# TDT: the teacher. $TEACHERS is a list of names, by default the four widths of OSNet; the weights
# of each are $TEACHER_FOLDER/NAME.pth, unless it needs none.
# $PIPELINE is the student, by default tdt-r50. $INIT is by default imagenet.
#
#     sh examples/training/tables/tdt-teachers.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

INIT=${INIT:-imagenet}
student=${PIPELINE:-tdt-r50}
columns MOTA IDF1 IDs TPR
for name in ${TEACHERS:-osnet_x1_0 osnet_x0_75 osnet_x0_5 osnet_x0_25}; do
    taught "$name" ${TEACHER_FOLDER:+"$TEACHER_FOLDER/$name.pth"}
    row "$name" "$student"
done
