"""Which of a dataset's classes is people."""

from collections.abc import Mapping
from pathlib import Path

from mottool.errors import InputError

__all__ = ["person_class"]

# The last is how CenterTrack's converter of MOTChallenge spells it.
PEOPLE = ("person", "pedestrian", "people", "human", "pedestrain")


def person_class(names: Mapping[int, str], source: Path) -> int:
    """The class whose name means people; an `InputError` that lists the names if there is none."""
    plain = {number: name.strip().strip("'\"").strip().lower() for number, name in names.items()}
    for word in PEOPLE:
        for number, name in plain.items():
            if name == word:
                return number
    told = ", ".join(list(plain.values())[:8]) or "nothing"
    problem = f"{source} has no class of people among {told}"
    raise InputError(problem, f"name one of them {PEOPLE[0]} or {PEOPLE[1]}")
