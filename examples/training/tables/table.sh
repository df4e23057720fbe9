# Sourced by the scripts of the tables, which train, track and score each row with these functions:
#
#     columns METRIC...            start a table (of the metrics that row.py accepts)
#     row LABEL PIPELINE FLAG...   train, detect and track one row, as its paper does
#     trained PIPELINE FLAG...     train a variant with flags of `mottool train`
#     detected [PIPELINE FLAG...]  run the variant, alone or as a part of another PIPELINE
#     tracked LABEL FLAG...        track with flags of `mottool associate`, and print the row
#     taught TEACHER [WEIGHTS]     distil this teacher; later variants learn from it
#
# The folder of a variant in $MOTTOOL_WORK/tables is named for its pipeline, its flags and a checksum
# of its data and other settings, so that tables with a row in common train it once.

usage() {
    sed '/^#!/d; /^#/!q; s/^# \{0,1\}//' "$0" | sed '/^set/d'
    cat <<'END'

VALIDATION is a held-out MOTChallenge folder, or a folder of several; for DATASET see
`mottool train --help`. The table is printed to standard output, in Markdown. $INIT are the initial
weights of every row, $INPUT is the network's input as WxH, and $FLAGS are passed to every
`mottool train`. Trained networks are in $MOTTOOL_WORK/tables; run this script again to resume after
an interruption.
END
}

if [ $# -lt 2 ]; then
    usage >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../../.." && pwd)
. "$project/examples/setup.sh"
setup "[train]" >&2
mottool() { "$python" -m mottool "$@" >&2; }

tables=${MOTTOOL_WORK:-mottool-work}/tables
validation=$1
shift
# Lists of arguments, one per line.
sources=$(printf '%s\n' "$@")
labels=
teacher=
weights=

columns() {
    figures=$*
    # shellcheck disable=SC2086
    "$python" "$here/row.py" $figures
}

row() {
    label=$1
    shift
    trained "$@"
    detected
    tracked "$label"
}

trained() {
    pipeline=$1
    name=$(printf '%s' "$*${teacher:+ --teacher $teacher}" | sed 's/ --/./g; s/[ /]/-/g')
    name=$name-$(printf '%s' "$sources $labels ${INIT:-} ${INPUT:-} ${FLAGS:-} $weights" |
        cksum | cut -d' ' -f1)
    variant=$tables/$name
    echo "$name" >&2
    # shellcheck disable=SC2086
    train_on "$@" --validate "$validation" --work "$variant" ${INIT:+--init "$INIT"} \
        ${INPUT:+--input "$INPUT"} --validate-every 1000 ${FLAGS:-}
}

train_on() (
    IFS='
'
    set -f
    for source in $sources; do
        set -- "$@" --data "$source"
    done
    for file in $labels; do
        set -- "$@" --labels "$file"
    done
    mottool train "$@"
)

detected() {
    detector=${1:-$pipeline}
    [ $# -eq 0 ] || shift
    see --pipeline "$detector" "$@"
    case " $figures " in
    *" TPR"* | *" Rank1 "* | *" mAP "*) see --pipeline "$pipeline" --boxes gt ;;
    esac
}

see() {
    mottool detect-embed "$validation" --work "$variant" ${INPUT:+--input "$INPUT"} \
        --weights "$variant/training/$pipeline/$pipeline.safetensors" "$@"
}

tracked() {
    label=$1
    shift
    tracks=$variant/tracks/$detector$(printf '%s' "${*:+ $*}" | sed 's/ --/./g; s/[ /]/-/g')
    mottool associate "$variant/caches/$detector"/*.h5 --tracker "${pipeline%%-*}" \
        --out "$tracks" "$@"
    set -- "$tracks" "$variant/caches/$detector"
    [ ! -d "$variant/caches/gt+$pipeline" ] || set -- "$@" "$variant/caches/gt+$pipeline"
    mottool evaluate "$@" --gt "$validation" --by-size --csv "$tracks.csv"
    # shellcheck disable=SC2086
    "$python" "$here/row.py" $figures --label "$label" --scores "$tracks.csv" \
        --caches "$variant/caches/$detector"
}

taught() {
    teacher=$1
    weights=${2:-}
    while read -r source; do
        mottool distill-labels "$source" --teacher "$teacher" --work "$tables" \
            ${weights:+--teacher-weights "$weights"} </dev/null
    done <<END
$sources
END
    labels=$(printf '%s\n' "$tables/labels/$teacher"/*.h5)
}
