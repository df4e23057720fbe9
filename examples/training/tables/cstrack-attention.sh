#!/bin/sh
# CSTrack: the kinds of attention within SAAN.
# $PIPELINE is cstrack or cstrack-s.
#
#     sh examples/training/tables/cstrack-attention.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-cstrack}
columns MOTA IDF1 FP FN IDs
row "none" "$pipeline" --attention none
row "spatial" "$pipeline" --attention spatial
row "channel" "$pipeline" --attention channel
row "both" "$pipeline"
