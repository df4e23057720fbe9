#!/bin/sh
# FairMOT's Table 4 (arXiv 2004.01888v1): the dimension of the embeddings.
#
#     sh examples/training/tables/fairmot-4-dimensions.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR FPS
row "512" fairmot-dla34-512d
row "256" fairmot-dla34-256d
row "128" fairmot-dla34
row "64" fairmot-dla34-64d
