"""Tracker settings that fit a network better than the published ones.

Published thresholds fit the published networks. The card of a weights file may name the best
tracker for it, and settings of several trackers. `detect-embed` copies both into the header of a
cache, and `associate` starts from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mottool.association.registry import EMBEDDING_SETTINGS, TRACKERS, profile_settings
from mottool.errors import CacheError, SettingError
from mottool.settings import Settings, build_settings

if TYPE_CHECKING:
    from mottool.association.sequence_settings import SequenceSettings
    from mottool.cache.layout import Header

__all__ = ["CacheSettings", "fitted_settings", "fitted_tracker"]

PUBLISHED = "give --published to use the settings of the tracker's authors"


def fitted_tracker(settings: Mapping[str, Any]) -> str | None:
    """Return the tracker that suits a cache best by the settings in its header, or None."""
    name = settings.get("tracker")
    return name if isinstance(name, str) and name in TRACKERS else None


def fitted_settings(settings: Mapping[str, Any], tracker: str) -> dict[str, str]:
    """Return what a cache's header sets for `tracker`, as texts by name; {} for nothing.

    Thresholds of embeddings are omitted if an embedder replaced the network's embeddings.
    Raises `CacheError` for a name or a value that is not valid for the tracker.
    """
    tables = settings.get("trackers")
    table = tables.get(tracker) if isinstance(tables, Mapping) else None
    if not isinstance(table, Mapping):
        return {}
    texts = {str(name): str(value) for name, value in table.items()}
    if settings.get("embedder"):
        texts = {name: value for name, value in texts.items() if name not in EMBEDDING_SETTINGS}
    try:
        build_settings(TRACKERS[tracker].settings, texts, tracker)
    except SettingError as error:
        raise CacheError(f"the cache's settings do not fit: {error.problem}", PUBLISHED) from error
    return texts


class CacheSettings:
    """The settings of each cache: those that fit its network, overridden by file and flags.

    A profile of the tracker takes the place of the settings that fit the network.
    """

    def __init__(
        self,
        tracker: str,
        kinds: Mapping[str, type[Settings]],
        given: Mapping[str, Any],
        sequence_settings: SequenceSettings,
        published: bool,
        profile: str | None = None,
    ) -> None:
        """Take the flags `given`; with `published` or a `profile`, ignore the caches' settings.

        Raises `SettingError` for a profile that the tracker does not have.
        """
        self.tracker, self.kinds, self.given = tracker, kinds, given
        self.sequence_settings, self.published = sequence_settings, published
        self.profile = profile_settings(tracker, profile) if profile else None
        self.notes: list[str] = []

    @property
    def variant(self) -> str:
        """The name of the tracker with the settings of its file, if there is one."""
        return self.sequence_settings.variant(self.tracker)

    def of(self, header: Header) -> list[Settings]:
        """Build the settings of a cache, and note where they come from."""
        if self.profile is not None:
            of = self.sequence_settings.of
            return of(header.sequence, self.kinds, self.given, self.profile)
        fitted = {} if self.published else fitted_settings(header.settings, self.tracker)
        settings = self.sequence_settings.of(header.sequence, self.kinds, self.given, fitted)
        unfitted = self.sequence_settings.of(header.sequence, self.kinds, self.given)
        used = [name for name in fitted if getattr(settings[0], name) != getattr(unfitted[0], name)]
        if used:
            values = ", ".join(f"{name} {fitted[name]}" for name in used)
            note = f"{self.tracker} uses settings that fit {header.pipeline} ({values}); "
            note += "--published uses its authors'"
            self.notes += [] if note in self.notes else [note]
        return settings
