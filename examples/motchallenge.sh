#!/bin/sh
# Track a whole MOTChallenge dataset and print the table of scores:
#
#     sh examples/motchallenge.sh MOT17/train [TRACKER]
#
# $PIPELINE, by default mottool-s, detects and embeds; public uses the public detections.
# All sequences below the folder are tracked; run it again to resume after an interruption.
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
