"""Read the people in the outputs of an exported detector, whose format is recognised once."""

from collections.abc import Callable

import numpy as np

from mottool.errors import CheckpointError, ignore_warning
from mottool.pipelines.detectors import output_formats
from mottool.pipelines.detectors.output_arrays import Outputs, Size, without_maps
from mottool.pipelines.detectors.output_formats import (
    LARGEST_FRACTION,
    OutputFormat,
    ScoredBoxes,
)

__all__ = ["OutputReader"]

SURE = 0.5  # score of a person that decides between formats
LARGEST_SCORE = 1.001  # with rounding


class OutputReader:
    """Reads the outputs of one detector, image by image.

    Of several formats with the shape of the outputs, the first in `OUTPUT_FORMATS` that finds
    people is used, but any other than the first only if one of them scores 0.5 or more. The format
    is kept from the first such person on; `note` then receives a message if there was a choice.
    People are class 1 in a format with a background class, unless a box has class 0.
    """

    def __init__(
        self,
        size: Size,
        min_score: float,
        person: int | None = None,
        key: str | None = None,
        note: Callable[[str], None] = ignore_warning,
    ) -> None:
        """Read the outputs for an input of `size`, width and height.

        `person` is the class of people, by default that of the format, whose `key` may be given.
        """
        self._size, self._min_score, self._person, self._note = size, min_score, person, note
        formats = output_formats.OUTPUT_FORMATS
        self._counts_from: int | None = None  # where the outputs show it
        self._format = next((each for each in formats if key and each.key == key), None)

    def people(self, outputs: Outputs) -> ScoredBoxes:
        """Decode the people in one image, best first, in network pixels.

        They score above the reader's `min_score`. Raises `CheckpointError` for outputs of an
        unknown format, and for boxes or scores that the recognised format cannot have.
        """
        outputs = without_maps(outputs)
        formats = [self._format] if self._format else _candidates(outputs, self._size)
        if not formats:
            raise _unknown(outputs)
        chosen, people = formats[0], self._decode(formats[0], outputs)
        for other in formats[1:]:
            if len(people.boxes):
                break
            found = self._decode(other, outputs)
            if _is_sure(found):
                chosen, people = other, found
        _check(outputs, chosen, people)
        if self._person is None and chosen.classes:
            self._check_classes(chosen.counts_from_zero(outputs), len(people.boxes))
        if self._format is None and _is_sure(people):
            self._format = chosen
            if len(formats) > 1:
                self._note(f"the outputs are read as {chosen.name}; see --detector-format")
        return people

    def _decode(self, output_format: OutputFormat, outputs: Outputs) -> ScoredBoxes:
        """Decode the people in one image in a given format."""
        person = self._person
        if person is None:
            from_zero = self._counts_from == 0 or output_format.counts_from_zero(outputs)
            person = 1 if output_format.background_class and not from_zero else 0
        try:
            people = output_format.decode(outputs, self._size, person)
        except (IndexError, ValueError):  # fewer classes, or other shapes than the format's
            raise _unknown(outputs) from None
        people = people.above_score(self._min_score)
        relative = output_format.may_be_relative and len(people.boxes)
        if relative and people.boxes.max() <= LARGEST_FRACTION:
            people = people._replace(boxes=people.boxes * np.array([*self._size] * 2, np.float32))
        return people.after_nms() if output_format.needs_nms else people

    def _check_classes(self, from_zero: bool, count: int) -> None:
        """Keep from which number classes count, once an image shows it or has people.

        Raises `CheckpointError` for class 0 if class 1 was read as people before.
        """
        if from_zero and self._counts_from == 1:
            problem = "class 0 occurs, so people are not class 1, as which they were read before"
            raise CheckpointError(problem, "give --person-class 0 and --overwrite")
        if from_zero:
            self._counts_from = 0
        elif count and self._counts_from is None:
            self._counts_from = 1
            self._note("class 1 is read as people, as there is no class 0; see --person-class")


def _candidates(outputs: Outputs, size: Size) -> list[OutputFormat]:
    """Return the formats that outputs can have."""
    return [each for each in output_formats.OUTPUT_FORMATS if each.matches(outputs, size)]


def _is_sure(people: ScoredBoxes) -> bool:
    return bool(people.scores.max(initial=0) >= SURE)


def _check(outputs: Outputs, output_format: OutputFormat, people: ScoredBoxes) -> None:
    """Raise `CheckpointError` for people that a format cannot have."""
    if not len(people.boxes):
        return
    sides = people.boxes[:, 2:] - people.boxes[:, :2]
    if people.scores.max() > LARGEST_SCORE:
        problem = f"scores up to {people.scores.max():.3g}"
    elif people.scores[0] >= SURE and (sides[0] < 1).any():
        problem = "boxes smaller than a pixel"
    else:
        return
    fix = "name the format with --detector-format, or export the detector anew"
    read_as = f"{_shapes(outputs)}, read as {output_format.name},"
    raise CheckpointError(f"the outputs {read_as} have {problem}", fix)


def _unknown(outputs: Outputs) -> CheckpointError:
    """Return the error for outputs of an unknown format, which lists the known ones."""
    known = "; ".join(output_format.name for output_format in output_formats.OUTPUT_FORMATS)
    fix = f"export the detector with one of: {known}"
    return CheckpointError(f"the outputs {_shapes(outputs)} have no known format", fix)


def _shapes(outputs: Outputs) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, a.shape))}" for name, a in outputs.items())
