#!/bin/sh
# FairMOT's Table 1 (arXiv 2004.01888v1): with anchors and anchor-free, for several strides.
#
#     sh examples/training/tables/fairmot-1-anchors.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs
row "anchors, stride 8" fairmot-dla34-anchors8
row "anchors, stride 4" fairmot-dla34-anchors4
row "anchor-free, stride 8" fairmot-dla34-stride8
row "anchor-free, stride 4" fairmot-dla34
row "anchor-free, stride 2" fairmot-dla34-stride2
