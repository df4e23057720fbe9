"""What losses can be told beside their weights; nothing heavy is imported here."""

from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = ["AssignmentSettings"]


@dataclass(frozen=True)
class AssignmentSettings(Settings):
    """How people in two frames are assigned to each other (`losses.unsupervised`)."""

    placeholder: str = setting(
        "mean",
        "Similarity of a placeholder that those who are in one frame only are assigned to: the "
        "mean of all similarities, zero, or no placeholder at all.",
        choices=("none", "zero", "mean"),
    )
    temperature: float | None = setting(
        None, "What similarities are multiplied by in the softmax; none: 2·ln(K+1) of K choices."
    )
    margin: float | None = setting(
        0.5,
        "By how much the likeliest assignment should exceed the next; none: by as much as is "
        "possible among so many.",
    )
