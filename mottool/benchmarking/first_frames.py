"""The first frames of a sequence, as a sequence."""

from dataclasses import fields

from mottool.errors import InputError
from mottool.sources.sequence import Frame, HalfSequence, Sequence

__all__ = ["FirstFrames"]


class FirstFrames(HalfSequence):
    """The first frames of a sequence; the rest of a long video is not read."""

    @classmethod
    def take(cls, sequence: Sequence, count: int) -> "FirstFrames":
        """Take at most `count` frames of `sequence`."""
        shared = {item.name: getattr(sequence, item.name) for item in fields(Sequence)}
        first = sequence.first_frame
        span = first, first + count - 1
        return cls(**shared | {"length": count}, original=sequence, span=span)

    def fingerprint(self) -> str:
        """Return the name: reading all of a long video would take longer than its first frames."""
        return self.name

    def read(self, count: int) -> list[Frame]:
        """Return the first `count` frames. Raises `InputError` if there are none."""
        frames = [frame for _, frame in zip(range(count), self.frames(), strict=False)]
        if not frames:
            raise InputError(f"{self.path} has no frames", "give another video or folder of images")
        return frames
