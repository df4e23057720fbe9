#!/bin/sh
# Compare one-shot and two-stage pipelines on one dataset, in a table, plots and an HTML page.
#
#     sh examples/one-shot-vs-two-stage.sh                            a synthetic scene
#     sh examples/one-shot-vs-two-stage.sh DATASET                    MOTChallenge folders
#     sh examples/one-shot-vs-two-stage.sh DATASET PIPELINE=FILE...   and networks of your own:
#         fairmot-dla34=fairmot_dla34.pth  yolox+reid=yolox_nano.onnx,reid.onnx
#
# mottool-s is compared with two-stage pipelines that need no other weights: its detections and the
# dataset's public ones (det/), each with colour histograms as embeddings. Public detections are also
# tracked by their boxes alone. Rows with ground-truth boxes show the result of a perfect detector.
# FILE is the value of --weights, after a comma that of --embedder-weights. The trackers are
# $TRACKERS, by default "fairmot sort bytetrack". Results are written to $MOTTOOL_WORK, by default
# mottool-work.
set -eu
. "$(dirname "$0")/setup.sh"
setup ""
mottool() { "$python" -m mottool "$@"; }

MOTTOOL_WORK=${MOTTOOL_WORK:-mottool-work}
export MOTTOOL_WORK
if [ $# -eq 0 ]; then
    set -- "$MOTTOOL_WORK/scene"
    if [ ! -f "$1/seqinfo.ini" ]; then
        echo "Drawing a scene to $1"
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
echo "See $report/report.html for the table, the plots and the videos that render has written."
