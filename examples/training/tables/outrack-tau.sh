#!/bin/sh
# OUTrack: the overlap of two people above which an occlusion centre is learned (τ).
#
#     sh examples/training/tables/outrack-tau.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 FP FN IDs
row "0.5" outrack --tau 0.5
row "0.6" outrack --tau 0.6
row "0.7" outrack
row "0.8" outrack --tau 0.8
