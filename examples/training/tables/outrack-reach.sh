#!/bin/sh
# OUTrack: the maximum distance, in frames, between the two images of a pair.
#
#     sh examples/training/tables/outrack-reach.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "1" outrack --reach 1
row "10" outrack --reach 10
row "20" outrack
row "40" outrack --reach 40
