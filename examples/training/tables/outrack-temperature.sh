#!/bin/sh
# OUTrack: the temperature of the softmax over similarities, fixed or adaptive.
#
#     sh examples/training/tables/outrack-temperature.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "1" outrack --temperature 1
row "5" outrack --temperature 5
row "10" outrack --temperature 10
row "20" outrack --temperature 20
row "adaptive" outrack
