#!/bin/sh
# TDT (CVPR Workshops 2022, §3.3): a teacher's embeddings distilled, then learned by a detector.
#
#     sh examples/training/tdt.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default tdt-r34, is
# another student's; $INIT is what it starts from,
# by default ImageNet's weights of its backbone. $TEACHER and
# $TEACHER_WEIGHTS name the re-ID network that teaches; $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
set -eu
if [ $# -lt 2 ]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
project=$(cd "$(dirname "$0")/../.." && pwd)
. "$project/examples/setup.sh"
setup "[train]"
mottool() { "$python" -m mottool "$@"; }

validation=$1
shift
for source; do
    mottool distill-labels "$source" --teacher "${TEACHER:-osnet_x1_0}" \
        ${TEACHER_WEIGHTS:+--teacher-weights "$TEACHER_WEIGHTS"}
    set -- "$@" --data "$source"
    shift
done
for labels in "${MOTTOOL_WORK:-mottool-work}/labels/${TEACHER:-osnet_x1_0}"/*.h5; do
    set -- "$@" --labels "$labels"
done
# shellcheck disable=SC2086
mottool train "${PIPELINE:-tdt-r34}" "$@" --validate "$validation" \
    --init "${INIT:-imagenet}" ${FLAGS:-}
