#!/bin/sh
# CSTrack as its paper trains it (IEEE TIP 2022): SGD, η = 0.02.
#
#     sh examples/training/cstrack.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default cstrack, is
# cstrack-s for the small one; $INIT is what it starts from,
# for example Ultralytics' yolov5l.pt. $FLAGS go to `mottool train` as they are.
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
mottool train "${PIPELINE:-cstrack}" "$@" --validate "$validation" \
    ${INIT:+--init "$INIT"} ${FLAGS:-}
