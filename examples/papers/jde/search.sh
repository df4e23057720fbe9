#!/bin/sh
# Search for the weights of "App.Opt" as §3.5 of JDE's paper does: classification and box regression
# share one weight, embeddings have another, and both are equal on all heads.
#
#     sh examples/papers/jde/search.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. Every pair of $DETECTION_WEIGHTS, by default
# "16 45 128", and $IDENTITY_WEIGHTS, by default "2 5 14", is trained, and its last MOTA, AP and TPR
# are printed. The defaults are a geometric grid around the first weights of the authors' code; if
# the best pair is at its edge, search on from there. $PIPELINE, by default jde-1088x608, $INIT and
# $FLAGS are as in recipe.sh, for example FLAGS="--objective triplet --epochs 10".
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"

work=${MOTTOOL_WORK:-mottool-work}/search
name=${PIPELINE:-jde-1088x608}

# last FILE COLUMN: the last value of a column of a CSV file, as a percentage.
last() {
    awk -F, -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i; next }
        column && $column != "" { value = sprintf("%.1f", 100 * $column) }
        END { print value == "" ? "-" : value }' "$1"
}

printf '%9s %8s %6s %6s %6s\n' detection identity MOTA AP TPR
for detection in ${DETECTION_WEIGHTS:-16 45 128}; do
    for identity in ${IDENTITY_WEIGHTS:-2 5 14}; do
        out=$work/$name.$detection.$identity
        # shellcheck disable=SC2086
        mottool train "$name" "$@" --validate "$validation" --out "$out" \
            --weighting fixed --detection-weight "$detection" --identity-weight "$identity" \
            ${INIT:+--init "$INIT"} ${FLAGS:-} >&2
        printf '%9s %8s %6s %6s %6s\n' "$detection" "$identity" "$(last "$out/log.csv" MOTA)" \
            "$(last "$out/log.csv" AP@0.5)" "$(last "$out/log.csv" TPR@FAR=0.1)"
    done
done
