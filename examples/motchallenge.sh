#!/bin/sh
# A whole MOTChallenge dataset from its public detections, ending with the table:
#
#     sh examples/motchallenge.sh MOT17/train [TRACKER]
#
# Every sequence below the folder is done; run it again after a stop and it goes on from there.
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
. "$(dirname "$0")/setup.sh"
setup ""
mottool() { "$python" -m mottool "$@"; }

mottool detect-embed "$1"
mottool associate --tracker "${2:-fairmot}"
mottool evaluate --gt "$1"
