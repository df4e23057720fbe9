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
if [ $# -lt 2 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
project=$(cd "$(dirname "$0")/../.." && pwd)
. "$project/examples/setup.sh"
setup "[train]"
mottool() { "$python" -m mottool "$@"; }

validation=$1
shift
for source; do
    set -- "$@" --data "$source"
    shift
done
# shellcheck disable=SC2086
mottool train "${PIPELINE:-fairmot-dla34}" "$@" --validate "$validation" \
    ${INIT:+--init "$INIT"} ${FLAGS:-}
