#!/bin/sh
# CSTrack and its light variant, CSTrack-S.
#
#     sh examples/training/tables/cstrack-size.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 FP FN IDs FPS
row "CSTrack" cstrack
row "CSTrack-S" cstrack-s
