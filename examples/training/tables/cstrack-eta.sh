#!/bin/sh
# CSTrack: the weight of the identity loss against the detection loss (η).
# $PIPELINE is cstrack or cstrack-s.
#
#     sh examples/training/tables/cstrack-eta.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-cstrack}
columns MOTA IDF1 FP FN IDs
row "0.005" "$pipeline" --eta 0.005
row "0.01" "$pipeline" --eta 0.01
row "0.02" "$pipeline"
row "0.05" "$pipeline" --eta 0.05
row "0.1" "$pipeline" --eta 0.1
