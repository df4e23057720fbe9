#!/bin/sh
# From nothing to tracks and a video to look at, with the network in the box:
#
#     sh examples/quickstart.sh                      a street scene drawn for the purpose
#     sh examples/quickstart.sh VIDEO                your video
#     sh examples/quickstart.sh SEQUENCE             a MOTChallenge folder; with gt/ also a score
#     sh examples/quickstart.sh VIDEO DETECTIONS     a video and its det.txt
#
# Results land in $MOTTOOL_WORK, by default mottool-work in the current folder.
set -eu
. "$(dirname "$0")/setup.sh"
setup ""
mottool() { "$python" -m mottool "$@"; }

MOTTOOL_WORK=${MOTTOOL_WORK:-mottool-work}
export MOTTOOL_WORK
source=${1:-}
if [ -z "$source" ]; then
    source=$MOTTOOL_WORK/scene
    if [ ! -f "$source/seqinfo.ini" ]; then
        echo "Drawing a scene into $source"
        "$python" "$project/examples/draw_scene.py" "$source"
    fi
fi

echo "Detect and embed: one cache per sequence"
if [ $# -gt 1 ]; then
    mottool detect-embed "$source" --detections "$2"
else
    mottool detect-embed "$source"
fi
echo "Associate: MOTChallenge result files"
mottool associate
if [ -e "$source/gt" ]; then
    echo "Evaluate: the official score"
    mottool evaluate --gt "$source"
fi
echo "Render: a video to look at"
tracks=$(ls -dt "$MOTTOOL_WORK"/tracks/* | grep -v '\.settings$' | head -n 1)
mottool render "$source" --tracks "$tracks"

echo
echo "Look at $MOTTOOL_WORK: the tracks are in tracks/, the video in videos/."
echo "Try another tracker: $python -m mottool associate --tracker jde"
