#!/bin/sh
# Figures 5 and 6 of TDT's paper (§4.4.4 and supplement B): bars of AP, MOTA and IDF1.
#
#     sh examples/papers/tdt/figures.sh 5 VALIDATION DATASET...   one more DATASET for each model
#     sh examples/papers/tdt/figures.sh 6 VALIDATION DATASET...   α_e 2, steps ×2, α_e 10, finer levels
#
# VALIDATION is a held-out MOTChallenge folder. Each model is a tdt-r34 or $PIPELINE. $TEACHER, by
# default osnet_ain_x1_0, and $TEACHER_WEIGHTS are the re-ID network that is distilled. $STEPS is the
# length of a training, by default 300000, and $FLAGS are passed to `mottool train`. The picture is
# WORK/figure-N/plots/bars.png. Run it again to resume after an interruption.
set -eu
if [ $# -lt 3 ]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/setup.sh"
setup "[train]"
mottool() { "$python" -m mottool "$@"; }

number=$1
validation=$2
shift 2
name=${PIPELINE:-tdt-r34}
teacher=${TEACHER:-osnet_ain_x1_0}
steps=${STEPS:-300000}
work=${MOTTOOL_WORK:-mottool-work}/figure-$number
count=0

# model LABEL FLAGS DATASET...: train a model, track VALIDATION with it, and score it.
model() {
    label=$1
    flags=$2
    shift 2
    count=$((count + 1))
    folder=$work/model-$count
    for source; do
        labels=$work/labels/$teacher/$(printf %s "$source" | cksum | tr ' ' -).h5
        mottool distill-labels "$source" --teacher "$teacher" --out "$labels" \
            ${TEACHER_WEIGHTS:+--teacher-weights "$TEACHER_WEIGHTS"}
        set -- "$@" --data "$source" --labels "$labels"
        shift
    done
    # shellcheck disable=SC2086
    mottool train "$name" "$@" --work "$folder" $flags ${FLAGS:-}
    mottool detect-embed "$validation" --pipeline "$name" --work "$folder" \
        --weights "$folder/training/$name/$name.safetensors"
    mottool associate "$folder/caches/$name"/*.h5 --work "$folder" --tracker tdt
    mottool evaluate "$folder/tracks"/* "$folder/caches/$name"/*.h5 --gt "$validation" \
        --csv "$folder/scores.csv"
    scored=${scored:+$scored
}$label=$folder/scores.csv
}

scored=
case $number in
5)
    used=0
    for _; do
        used=$((used + 1))
        # The first $used of the datasets.
        model "$used datasets" "--steps $steps" $(printf '%s\n' "$@" | head -n "$used")
    done
    ;;
6)
    model "α_e 2" "--steps $steps --embedding-weight 2" "$@"
    model "steps ×2" "--steps $((2 * steps)) --embedding-weight 2" "$@"
    model "α_e 10" "--steps $steps" "$@"
    model "finer levels" "--steps $steps --finest-level 2" "$@"
    ;;
*)
    echo "figures.sh draws figures 5 and 6" >&2
    exit 2
    ;;
esac
IFS='
'
# shellcheck disable=SC2086
mottool plot bars $scored --work "$work"
