#!/bin/sh
# JDE's Table 1: the loss of the embeddings, with fixed weights of the tasks.
# $PIPELINE is jde-1088x608, jde-864x480 or jde-576x320.
#
#     sh examples/training/tables/jde-1-objectives.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-jde-1088x608}
columns AP TPR MOTA IDs
row "triplet" "$pipeline" --objective triplet --weighting fixed
row "upper bound of triplet" "$pipeline" --objective upper-bound --weighting fixed
row "cross-entropy" "$pipeline" --weighting fixed
