#!/bin/sh
# OUTrack: embeddings learned from pairs, by its terms or those of CycAs, or from identities.
# The last is FairMOT with embeddings of the same dimension. All rows use the same tracker, without
# the recovery of occluded tracks.
#
#     sh examples/training/tables/outrack-supervision.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs Rank1 mAP
trained outrack --intra 0 --inter 0 --cycle 0
detected
tracked "not learned" --no-occlusion
trained outrack --baseline
detected
tracked "CycAs" --no-occlusion
trained outrack
detected
tracked "OUTrack" --no-occlusion
trained fairmot-dla34-256d
detected
tracked "identities" --tracker outrack --no-occlusion
