#!/bin/sh
# FairMOT's Table 3 (arXiv 2004.01888v1): backbones, by detection and re-ID metrics.
# S, M and L are small, medium and large people.
#
#     sh examples/training/tables/fairmot-3-detection.sh VALIDATION DATASET...
set -eu
. "$(dirname "$0")/table.sh"

columns AP_S AP_M AP_L TPR_S TPR_M TPR_L IDs_S IDs_M IDs_L
row "ResNet-34" fairmot-resnet34
row "ResNet-50" fairmot-resnet50
row "ResNet-34-FPN" fairmot-resnet34-fpn
row "HRNet-W18" fairmot-hrnet18
row "DLA-34" fairmot-dla34
row "HRNet-W32" fairmot-hrnet32
