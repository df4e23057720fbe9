#!/bin/sh
# Make a virtual environment with everything the tests need, and pass them:
#
#     sh tests/run.sh             ruff, mypy and the tests
#     sh tests/run.sh --heavy     full-size networks and long kill tests too, as CI does
#     sh tests/run.sh ARGUMENT…   the same, with more arguments for pytest
set -eu
. "$(dirname "$0")/../examples/setup.sh"
setup "[test]"
cd "$project"

marks="not heavy"
if [ "${1:-}" = --heavy ]; then
    marks=""
    shift
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# A file's tests share its fixtures; tests/conftest.py puts the files that take longest first. A
# crashed worker ends the run: with one in its place, the run would wait for ever for its tests.
OMP_NUM_THREADS=1 "$python" -m pytest -n auto --dist loadfile --no-loadscope-reorder \
    --max-worker-restart 0 -m "$marks" "$@"
