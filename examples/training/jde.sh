#!/bin/sh
# JDE as its paper trains it (ECCV 2020, §4), its nine tasks weighed by uncertainty.
#
#     sh examples/training/jde.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default jde-1088x608, is
# one of another size; $INIT is what it starts from,
# for example the authors' jde.1088x608.uncertainty.pt. $FLAGS go to `mottool train` as they are.
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
mottool train "${PIPELINE:-jde-1088x608}" "$@" --validate "$validation" \
    ${INIT:+--init "$INIT"} ${FLAGS:-}
