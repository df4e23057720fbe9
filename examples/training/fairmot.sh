#!/bin/sh
# FairMOT as its paper trains it (IJCV 2021, §4.4 and §5.2).
#
#     sh examples/training/fairmot.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE, by default fairmot-dla34, may be one with
# another backbone. $INIT are the initial weights, for example CenterNet's ctdet_coco_dla_2x.pth.
# $FLAGS are passed to `mottool train`.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"
train fairmot-dla34 "$@"
