"""What a forked process must do before it uses PyTorch."""

import sys

__all__ = ["renew_threads"]


def renew_threads() -> None:
    """Make PyTorch's pool of threads anew, if PyTorch is imported.

    Otherwise the first use after a fork does that. It crashes where two threads do so at the same
    time, as those of autograd can.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(torch.get_num_threads())
