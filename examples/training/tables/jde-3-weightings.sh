#!/bin/sh
# JDE's Table 3: the weighting of the nine tasks, with cross-entropy as identity loss.
# $PIPELINE is jde-1088x608, jde-864x480 or jde-576x320.
#
#     sh examples/training/tables/jde-3-weightings.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

pipeline=${PIPELINE:-jde-1088x608}
columns AP TPR MOTA IDs
row "uniform" "$pipeline" --weighting uniform
row "MGDA-UB" "$pipeline" --weighting mgda
row "loss normalisation" "$pipeline" --weighting normalisation
row "fixed, near the optimum" "$pipeline" --weighting fixed
row "uncertainty" "$pipeline"
