#!/bin/sh
# TDT: the student's backbone, with and without a feature pyramid.
# $TEACHER, by default osnet_x1_0, and
# $TEACHER_WEIGHTS are the re-ID network that is distilled. $INIT is by default imagenet.
#
#     sh examples/training/tables/tdt-backbones.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

INIT=${INIT:-imagenet}
taught "${TEACHER:-osnet_x1_0}" "${TEACHER_WEIGHTS:-}"
columns MOTA IDF1 IDs AP TPR FPS
row "ResNet-50" tdt-r50
row "ResNet-34" tdt-r34
row "MobileNet-v2" tdt-mobilenet
row "MobileNet-v2 without FPN" tdt-mobilenet-nofpn
