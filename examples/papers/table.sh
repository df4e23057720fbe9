#!/bin/sh
# Print a table of a paper, its figures beside ours:
#
#     sh examples/papers/table.sh PAPER                                 list the tables
#     sh examples/papers/table.sh PAPER TABLE                           print the paper's figures
#     sh examples/papers/table.sh PAPER TABLE VALIDATION [DATASET...]   run the rows, print both
#
# PAPER is fairmot, jde, cstrack, outrack or tdt, and TABLE a number as printed. The rows are trained
# on the DATASETs (see `mottool train --help`) and track VALIDATION, sequences with ground truth.
# These variables change every row:
#
#     MOTTOOL_WORK      the folder of all results, by default mottool-work
#     ROWS              the rows to run, such as 1,3
#     INPUT             the input of the networks, WxH
#     FLAGS             more flags of `mottool train`, such as "--epochs 1 --batch 2"
#     INIT              initial weights, for rows that the paper does not train from scratch;
#                       INIT_FAIRMOT_DLA34 those of this network
#     WEIGHTS_NETWORK   weights of a network that is then not trained, of a teacher or an embedder,
#                       such as WEIGHTS_OSNET_AIN_X1_0
#     DETECTION_DATA    data sets that AP is scored on instead of VALIDATION, as `mottool validate`
#                       takes them; EMBEDDING_DATA those of TPR
#
# Rows with a training in common train once. Run the command again to resume after an interruption.
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
papers=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$papers/../.." && pwd)
python=${MOTTOOL_PYTHON:-python3}
if [ $# -gt 2 ]; then
    . "$project/examples/setup.sh"
    setup "[train]" >&2
fi
exec "$python" "$papers/table.py" "$@"
