#!/bin/sh
# OUTrack: the share of pairs that show different people.
#
#     sh examples/training/tables/outrack-negatives.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "none" outrack
row "10 %" outrack --negative 0.1
row "25 %" outrack --negative 0.25
row "50 %" outrack --negative 0.5
