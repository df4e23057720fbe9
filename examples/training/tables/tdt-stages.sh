#!/bin/sh
# TDT: the student alone (one stage), and as the detector for its teacher (two stages).
# $PIPELINE is the student, by default tdt-r50; $TEACHER, by default osnet_x1_0, and
# $TEACHER_WEIGHTS are the re-ID network that is distilled. $INIT is by default imagenet.
#
#     sh examples/training/tables/tdt-stages.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

INIT=${INIT:-imagenet}
student=${PIPELINE:-tdt-r50}
taught "${TEACHER:-osnet_x1_0}" "${TEACHER_WEIGHTS:-}"
columns MOTA IDF1 IDs FPS
trained "$student"
detected
tracked "one stage"
detected "$student+$teacher" ${TEACHER_WEIGHTS:+--embedder-weights "$TEACHER_WEIGHTS"}
tracked "two stages"
