#!/bin/sh
# CSTrack: its two networks, REN and SAAN. Without SAAN the levels are only concatenated.
# $PIPELINE is cstrack or cstrack-s.
#
#     sh examples/training/tables/cstrack-parts.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-cstrack}
columns MOTA IDF1 FP FN IDs FPS
row "neither" "$pipeline" --relation none --attention none
row "REN" "$pipeline" --attention none
row "SAAN" "$pipeline" --relation none
row "REN and SAAN" "$pipeline"
