# Sourced by the recipes of training/ and papers/: print the usage, set up, and define `train`.
#
# It expects the script's arguments, VALIDATION and DATASET..., and sets $validation, and "$@" to a
# --data for each dataset. A script in a deeper folder sets $project, the folder of the project.

if [ $# -lt 2 ]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
project=${project:-$(cd "$(dirname "$0")/../.." && pwd)}
. "$project/examples/setup.sh"
setup "[train]"
mottool() { "$python" -m mottool "$@"; }

validation=$1
shift
for source; do
    set -- "$@" --data "$source"
    shift
done

# train PIPELINE FLAGS...: train PIPELINE, or $PIPELINE if that is set.
train() {
    default=$1
    shift
    # shellcheck disable=SC2086
    mottool train "${PIPELINE:-$default}" "$@" --validate "$validation" \
        ${INIT:+--init "$INIT"} ${FLAGS:-}
}
