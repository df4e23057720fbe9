#!/bin/sh
# One-shot against two-stage: a table, plots and a page of several pipelines on one dataset.
#
#     sh examples/one-shot-vs-two-stage.sh                            a scene drawn for the purpose
#     sh examples/one-shot-vs-two-stage.sh DATASET                    MOTChallenge folders
#     sh examples/one-shot-vs-two-stage.sh DATASET PIPELINE=FILE...   and networks of your own:
#         fairmot-dla34=fairmot_dla34.pth  yolox+reid=yolox_nano.onnx,reid.onnx
#
# mottool-s is compared with two-stage pipelines that need no weights either: its own detections
# and the dataset's public ones (det/), described by the colours of clothes. Public detections are
# also tracked by their boxes alone, and true boxes show what is left to detectors.
# FILE is what --weights takes, after a comma what --embedder-weights takes. $TRACKERS, by default
# "fairmot sort bytetrack", track each. Results land in $MOTTOOL_WORK, by default mottool-work.
set -eu
. "$(dirname "$0")/setup.sh"
setup ""
mottool() { "$python" -m mottool "$@"; }

MOTTOOL_WORK=${MOTTOOL_WORK:-mottool-work}
export MOTTOOL_WORK
if [ $# -eq 0 ]; then
    set -- "$MOTTOOL_WORK/scene"
    if [ ! -f "$1/seqinfo.ini" ]; then
        echo "Drawing a scene into $1"
        "$python" "$project/examples/draw_scene.py" "$1"
    fi
fi
dataset=$1
shift

mottool detect-embed "$dataset"
mottool detect-embed "$dataset" --embedder histogram
mottool detect-embed "$dataset" --boxes gt
mottool detect-embed "$dataset" --boxes gt --embedder histogram
if [ -n "$(find -L "$dataset" -path '*/det/det.txt' -print -quit)" ]; then
    mottool detect-embed "$dataset" --pipeline public --embedder none
    mottool detect-embed "$dataset" --pipeline public --embedder histogram
fi
for named; do
    pipeline=${named%%=*} weights=${named#*=}
    embedder=
    case $weights in *,*) embedder=${weights#*,} weights=${weights%%,*} ;; esac
    mottool detect-embed "$dataset" --pipeline "$pipeline" ${weights:+--weights "$weights"} \
        ${embedder:+--embedder-weights "$embedder"}
done

set --
for tracker in ${TRACKERS:-fairmot sort bytetrack}; do
    set -- "$@" --tracker "$tracker"
done
report=$MOTTOOL_WORK/comparison
mottool compare --gt "$dataset" "$@" --oracle --plots "$report" --csv "$report/table.csv" \
    --markdown "$report/table.md" --latex "$report/table.tex" --html "$report/report.html"
echo
echo "Look at $report/report.html: the table, the plots and the videos, if render has made any."
