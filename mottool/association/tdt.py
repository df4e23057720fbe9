"""TDT's association: FairMOT's, on what a distilled detector found.

Yu, Wu, Gu & Fathy, "TDT: Teaching Detectors to Track without Fully Annotated Videos", CVPR
Workshops 2022, §3.5, which takes over FairMOT's online association. Its authors published no code;
the thresholds here are those of FairMOT's code and not read off §3.5. What a TDT detector scores
may ask for a lower `conf_thres`.
"""

from mottool.association.fairmot import FairMOT

__all__ = ["TDT"]


class TDT(FairMOT):
    """Tracks one sequence."""
