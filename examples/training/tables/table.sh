# Sourced by the scripts of tables. Each of their rows is trained, tracked and scored by these:
#
#     columns FIGURE...            begin a table (figures are what row.py knows)
#     row LABEL PIPELINE FLAG...   one row: trained, detected and tracked in its paper's way
#     trained PIPELINE FLAG...     train a variant, FLAG being those of `mottool train`
#     detected [PIPELINE FLAG...]  run the variant, alone or as a part of another PIPELINE
#     tracked LABEL FLAG...        print a row, FLAG being those of `mottool associate`
#     taught TEACHER [WEIGHTS]     have TDT's students learn from this teacher from now on
#
# A variant lies in $MOTTOOL_WORK/tables under the name of its pipeline and flags, and a number for
# the data and all else, so that tables with a row in common train it once.

usage() {
    sed '/^#!/d; /^#/!q; s/^# \{0,1\}//' "$0" | sed '/^set/d'
    cat <<'END'

VALIDATION is a MOTChallenge folder, or a root of some, that is held out; a DATASET is what
`mottool train --help` says. The table comes on standard output, in Markdown. $INIT is what every
row starts from, $INPUT the network's input as WxH, and $FLAGS go to every `mottool train`. What
has been trained lies in $MOTTOOL_WORK/tables; run this again after a stop and it goes on.
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
# Lists of arguments, one on a line.
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
