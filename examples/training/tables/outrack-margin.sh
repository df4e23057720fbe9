#!/bin/sh
# OUTrack: the margin of the most likely assignment over the second most likely.
#
#     sh examples/training/tables/outrack-margin.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "0" outrack --margin 0
row "0.25" outrack --margin 0.25
row "0.5" outrack
row "0.75" outrack --margin 0.75
