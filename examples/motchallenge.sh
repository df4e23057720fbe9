#!/bin/sh
# A whole MOTChallenge dataset, ending with the table of scores:
#
#     sh examples/motchallenge.sh MOT17/train [TRACKER]
#
# $PIPELINE, by default mottool-s, detects and embeds; public stands for public detections.
# Every sequence below the folder is done; run it again after a stop and it goes on from there.
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
. "$(dirname "$0")/setup.sh"
setup ""
mottool() { "$python" -m mottool "$@"; }

mottool detect-embed "$1" ${PIPELINE:+--pipeline "$PIPELINE"}
mottool associate ${2:+--tracker "$2"}
mottool evaluate --gt "$1"
