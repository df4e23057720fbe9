#!/bin/sh
# OUTrack: the placeholder to which people in only one frame of a pair are assigned.
#
#     sh examples/training/tables/outrack-placeholder.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "no placeholder" outrack --placeholder none
row "zero" outrack --placeholder zero
row "mean of the similarities" outrack
