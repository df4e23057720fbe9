"""Settings of the association of one sequence: of its inputs, its tracker and postprocessing.

A TOML file gives settings that differ between sequences:

    tracker = "fairmot"

    [default]
    conf_thres = 0.5

    ["MOT17-05*"]
    conf_thres = 0.35
    track_buffer = 14

A sequence gets what `[default]` says, then what every table says whose name is its own or a
pattern that fits it, in the order of the file; what was given on the command line goes before
all of them. Thresholds by sequence are how POI (Yu et al., ECCV 2016 workshops) and ByteTrack
were run on the benchmarks.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mottool.association.registry import TRACKERS
from mottool.errors import InputError, SettingError, did_you_mean
from mottool.settings import Settings, build_settings, setting

__all__ = [
    "PostprocessSettings",
    "InputSettings",
    "SequenceSettings",
    "settings_classes_of",
    "read_settings_by_tracker",
    "unused_tables",
]

DEFAULT = "default"


def _classes(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if min(numbers) < 0:
        raise ValueError(text)
    return numbers


@dataclass(frozen=True)
class InputSettings(Settings):
    """What a tracker gets to see of a cache."""

    classes: tuple[int, ...] | None = setting(
        None,
        "Only detections of these classes are tracked, as '0' or '0,2' (0 is a person); none: all.",
        parse=_classes,
    )
    min_score: float = setting(
        0.0,
        "Detections with a lower score are left out before the tracker sees them.",
        low=0,
        high=1,
    )
    fixed_rate: bool = setting(
        False,
        "Take every frame for the next one, as the papers do. Otherwise, where frames do not come "
        "evenly, their times count: for motion, and for how long a tracklet is remembered.",
    )


@dataclass(frozen=True)
class PostprocessSettings(Settings):
    """Offline finishing: which tracks stay, and how their boxes are mended; by default nothing."""

    min_track_length: int = setting(
        1, "Tracks with fewer boxes than this are removed, before gaps are filled.", low=1
    )
    fill_gaps: int = setting(
        0,
        "Gaps of up to this many frames within a track are filled along a straight line; 0: none.",
        low=0,
    )
    smooth: str = setting(
        "none",
        "Smooth the boxes of each track: gaussian by a Gaussian process, as StrongSORT does after "
        "filling gaps of 18 frames; rts by a Kalman filter that runs forwards and back.",
        choices=("none", "gaussian", "rts"),
    )
    smooth_tau: float = setting(
        10.0,
        "How far a Gaussian process smooths, StrongSORT's tau. Tracks of more than its third power "
        "of boxes are left as they are.",
        low=2,
        high=15,
    )


def settings_classes_of(tracker: str) -> dict[str, type[Settings]]:
    """What a tracker's settings files may set: its own settings first, then those around it."""
    return {
        tracker: TRACKERS[tracker].settings,
        "input": InputSettings,
        "finishing": PostprocessSettings,
    }


class SequenceSettings:
    """The settings of each sequence, of several kinds that share no name.

    `tracker` is the one that the file is for, or None; `unused` names its tables that fitted no
    sequence so far.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read the file; without one every sequence has what is given to `of`.

        Raises `InputError` for what is no TOML, `SettingError` for what is no table of settings.
        """
        told = {} if path is None else _read(path)
        tracker = told.pop("tracker", None)
        if tracker is not None and not isinstance(tracker, str):
            raise SettingError(f"{path}: tracker is no text", 'write tracker = "fairmot"')
        for name, table in told.items():
            if not isinstance(table, dict):
                fix = f"put it under [{DEFAULT}] or under a sequence's name"
                raise SettingError(f"{path}: {name} stands outside of any table", fix)
            for key in table:
                if "-" in key and key.replace("-", "_") in table:
                    problem = f"{path} [{name}] has {key} and {key.replace('-', '_')}"
                    raise SettingError(problem, "leave one of them out, they are the same setting")
        self.tracker: str | None = tracker
        self._path = path
        self._tables: dict[str, dict[str, str]] = {
            name: {key.replace("-", "_"): _text(value) for key, value in table.items()}
            for name, table in told.items()
        }
        self.unused = [name for name in self._tables if name != DEFAULT]

    def check(self, kinds: Mapping[str, type[Settings]]) -> None:
        """Raise a `SettingError` if a table holds what is no setting of these kinds."""
        for name, table in self._tables.items():
            try:
                _built(kinds, table)
            except SettingError as error:
                problem = f"{self._path} [{name}]: {error.problem}"
                raise SettingError(problem, error.fix) from error

    def of(
        self,
        sequence: str,
        kinds: Mapping[str, type[Settings]],
        given: Mapping[str, Any],
        fitted: Mapping[str, str] | None = None,
    ) -> list[Settings]:
        """The settings of one sequence, an instance of each of `kinds`, named for errors.

        `given` are settings that go before those of the file, which go before `fitted`.
        """
        told: dict[str, Any] = dict(fitted or {}) | self._tables.get(DEFAULT, {})
        for name, table in self._tables.items():
            if name != DEFAULT and fnmatchcase(sequence, name):
                told |= table
                self.unused = [other for other in self.unused if other != name]
        return _built(kinds, told | dict(given))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"there is no settings file {path}", "check the path") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        fix = 'write [default] or ["SEQUENCE"] and below it lines of key = value'
        raise InputError(f"{path} is no TOML file of settings ({error})", fix) from error


def _text(value: object) -> str:
    """A value as it would be written on the command line, where types are checked."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _built(kinds: Mapping[str, type[Settings]], told: Mapping[str, Any]) -> list[Settings]:
    """One instance of each kind; what none of them has is refused in the name of the first."""
    first = next(iter(kinds))
    parts: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    for key, value in told.items():
        owners = (name for name, kind in kinds.items() if key in kind.__dataclass_fields__)
        parts[next(owners, first)][key] = value
    return [build_settings(kind, parts[name], name) for name, kind in kinds.items()]


def read_settings_by_tracker(
    trackers: Iterable[str], files: Iterable[Path]
) -> dict[str, SequenceSettings]:
    """Return the settings of trackers that are given by name, and of those that files name.

    A file replaces the empty settings of a name. Raises `SettingError` for a file that names no
    tracker or an unknown one, for two files of one tracker, and for settings it does not have.
    """
    settings = {name: SequenceSettings() for name in trackers}
    file_of: dict[str, Path] = {}
    for file in files:
        file_settings = SequenceSettings(file)
        name = file_settings.tracker
        if name is None:
            raise SettingError(f"{file} names no tracker", 'write tracker = "fairmot" at its top')
        if name not in TRACKERS:
            raise SettingError(f"{file} is for {name!r}", did_you_mean(name, TRACKERS))
        if name in file_of:
            fix = "compare them in separate runs"
            raise SettingError(f"{file_of[name]} and {file} are both for {name}", fix)
        file_settings.check(settings_classes_of(name))
        settings[name], file_of[name] = file_settings, file
    return settings


def unused_tables(settings: Mapping[str, SequenceSettings]) -> list[str]:
    """Return a message for each table of settings, by tracker, that matched no sequence."""
    return [
        f"the settings of {tracker} for [{name}] match none of these sequences"
        for tracker, tracker_settings in settings.items()
        for name in tracker_settings.unused
    ]
