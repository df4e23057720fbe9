#!/bin/sh
# OUTrack: the terms of its unsupervised re-ID loss.
#
#     sh examples/training/tables/outrack-terms.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs TPR
row "none of them" outrack --intra 0 --inter 0 --cycle 0
row "intra" outrack --inter 0 --cycle 0
row "intra and inter" outrack --cycle 0
row "intra, inter and cycle" outrack
