#!/bin/sh
# CSTrack: the relations within REN.
# $PIPELINE is cstrack or cstrack-s.
#
#     sh examples/training/tables/cstrack-relations.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-cstrack}
columns MOTA IDF1 FP FN IDs
row "none" "$pipeline" --relation none
row "self-relation" "$pipeline" --relation self
row "cross-relation" "$pipeline" --relation cross
row "both" "$pipeline"
