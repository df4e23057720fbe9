#!/bin/sh
# FairMOT's Table 2 (arXiv 2004.01888v1): backbones, by tracking metrics.
#
#     sh examples/training/tables/fairmot-2-backbones.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns MOTA IDF1 IDs
row "ResNet-34" fairmot-resnet34
row "ResNet-50" fairmot-resnet50
row "ResNet-34-FPN" fairmot-resnet34-fpn
row "HRNet-W18" fairmot-hrnet18
row "DLA-34" fairmot-dla34
row "HRNet-W32" fairmot-hrnet32
