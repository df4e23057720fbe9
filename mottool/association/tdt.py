"""TDT's association: FairMOT's, on what a distilled detector found.

Yu, Wu, Gu & Fathy, "TDT: Teaching Detectors to Track without Fully Annotated Videos", CVPR
Workshops 2022, §3.5. Its authors published no code. The thresholds here are those of FairMOT's
code, whose online association it takes over; what a TDT detector scores may ask for a lower
`conf_thres`.
"""

from mottool.association.fairmot import FairMOT

__all__ = ["TDT"]


class TDT(FairMOT):
    """Tracks one sequence."""
