#!/bin/sh
# Track a sequence with the bundled network and render a video of the tracks:
#
#     sh examples/quickstart.sh                      a synthetic street scene
#     sh examples/quickstart.sh VIDEO                your video
#     sh examples/quickstart.sh SEQUENCE             a MOTChallenge folder; with gt/, also scores
#     sh examples/quickstart.sh VIDEO DETECTIONS     a video and its det.txt
#
# Results are written to $MOTTOOL_WORK, by default mottool-work in the current folder.
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
        echo "Drawing a scene to $source"
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
    echo "Evaluate: the official metrics"
    mottool evaluate --gt "$source"
fi
echo "Render: a video of the tracks"
tracks=$(ls -dt "$MOTTOOL_WORK"/tracks/* | grep -v '\.settings$' | head -n 1)
mottool render "$source" --tracks "$tracks"

echo
echo "In $MOTTOOL_WORK, the tracks are in tracks/ and the video is in videos/."
echo "Try another tracker: $python -m mottool associate --tracker jde"
