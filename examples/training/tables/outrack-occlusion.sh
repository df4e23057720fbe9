#!/bin/sh
# OUTrack: with and without the recovery of occluded tracks; all rows share one training.
#
#     sh examples/training/tables/outrack-occlusion.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 FP FN IDs
trained outrack
detected
tracked "without refinding" --no-occlusion
tracked "refinding, authors' code" --form code
tracked "refinding, paper"
