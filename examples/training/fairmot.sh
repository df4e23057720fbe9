#!/bin/sh
# FairMOT as its paper trains it (IJCV 2021, §4.4 and §5.2).
#
#     sh examples/training/fairmot.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default fairmot-dla34, is
# one on another backbone; $INIT is what it starts from,
# for example CenterNet's ctdet_coco_dla_2x.pth. $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
set -eu
. "$(dirname "$0")/../recipe.sh"
train fairmot-dla34 "$@"
