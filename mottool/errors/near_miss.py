"""The known word that an unknown one most likely means, for the fixes of errors."""

from collections.abc import Iterable
from difflib import get_close_matches

from mottool.errors.synonyms import normalise, same_meaning

__all__ = ["did_you_mean", "near_miss"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the fix for an unknown word: its near miss among the known ones, or all of them.

    Without known words it is `leave it out`.
    """
    known = list(known)
    if not known:
        return "leave it out"
    match = near_miss(word, known)
    return f"did you mean {match!r}" if match else f"use one of {', '.join(known)}"


def near_miss(word: str, known: Iterable[str], spelling: bool = True) -> str | None:
    """Return the known word that `word` most likely means, or None.

    It is one that differs in case or hyphens, has `word` as its beginning, means the same
    (`mottool.errors.synonyms`), or, with `spelling`, is spelled like it.
    """
    by_name = {normalise(name): name for name in known}
    wanted = normalise(word)
    names = [wanted] if wanted in by_name else []
    names += [name for name in by_name if wanted and name.startswith(wanted)]
    names += [name for name in same_meaning(word) if name in by_name]
    names += get_close_matches(wanted, by_name, n=1) if spelling else []
    return by_name[names[0]] if names else None
