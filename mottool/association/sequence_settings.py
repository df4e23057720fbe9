"""Settings of the association of one sequence: of its inputs, its tracker and postprocessing.

A TOML file gives settings that differ between sequences:

    tracker = "fairmot"

    [default]
    conf_thres = 0.5

    ["MOT17-05*"]
    conf_thres = 0.35
    track_buffer = 14

The settings of a sequence are those of `[default]`, then those of every table whose name equals
the sequence's name or is a pattern that matches it, in the order of the file. Settings given on the
command line override all of them. POI (Yu et al., ECCV 2016 workshops) and ByteTrack
used thresholds by sequence on the benchmarks.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mottool.association.occlusion_settings import FORM_SETTINGS
from mottool.association.registry import DEFAULT_TRACKER, TRACKERS, drop_comments
from mottool.errors import InputError, SettingError, did_you_mean
from mottool.settings import Settings, build_settings, parse_key_values, setting
from mottool.splits import without_half

__all__ = [
    "InputSettings",
    "PostprocessSettings",
    "SequenceSettings",
    "check_public",
    "choose_tracker",
    "given_settings",
    "read_settings_by_tracker",
    "settings_classes_of",
    "tracker_of",
    "unused_tables",
]

DEFAULT = "default"
VARIANT = "@"  # between the names of a tracker and of a settings file, without its ending


def _classes(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if min(numbers) < 0:
        raise ValueError(text)
    return numbers


@dataclass(frozen=True)
class InputSettings(Settings):
    """Which detections of a cache are tracked, and how time is counted."""

    classes: tuple[int, ...] | None = setting(
        None,
        "Only detections of these classes are tracked, as '0' or '0,2' (0 is a person); none: all.",
        parse=_classes,
    )
    min_score: float = setting(
        0.0,
        "Detections with a lower score are dropped before tracking.",
        low=0,
        high=1,
    )
    fixed_rate: bool = setting(
        False,
        "Treat all frames as evenly spaced, as the papers do. Otherwise times of unevenly spaced "
        "frames are used for motion, and for how long lost tracklets are kept.",
    )


@dataclass(frozen=True)
class PostprocessSettings(Settings):
    """Offline postprocessing of tracks: removal, interpolation, smoothing; by default none."""

    min_track_length: int = setting(
        1, "Tracks with fewer boxes than this are removed, before gaps are filled.", low=1
    )
    fill_gaps: int = setting(
        0,
        "Gaps of up to this many frames within a track are interpolated linearly; 0: none.",
        low=0,
    )
    smooth: str = setting(
        "none",
        "Smooth the boxes of each track: gaussian by a Gaussian process, as StrongSORT does after "
        "filling gaps of 18 frames; rts by a Kalman filter run forwards and backwards.",
        choices=("none", "gaussian", "rts"),
    )
    smooth_tau: float = setting(
        10.0,
        "Length scale of the Gaussian process, StrongSORT's tau. Tracks of more than tau³ boxes "
        "are not changed.",
        low=2,
        high=15,
    )


def settings_classes_of(tracker: str) -> dict[str, type[Settings]]:
    """Return the settings classes of a tracker's settings file, the tracker's first."""
    return {
        tracker: TRACKERS[tracker].settings,
        "input": InputSettings,
        "finishing": PostprocessSettings,
    }


class SequenceSettings:
    """The settings of each sequence, of several settings classes that share no field name.

    `tracker` is the tracker that the file names, or None; `unused` are the names of tables that
    matched no sequence so far.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read the file; without one, every sequence has the settings given to `of`.

        Raises `InputError` for a file that is not TOML, `SettingError` for invalid tables.
        """
        document = {} if path is None else _read(path)
        tracker = document.pop("tracker", None)
        if tracker is not None and not isinstance(tracker, str):
            raise SettingError(f"{path}: tracker is not a text", 'write tracker = "fairmot"')
        for name, table in document.items():
            if not isinstance(table, dict):
                fix = f"put it under [{DEFAULT}] or under a sequence's name"
                raise SettingError(f"{path}: {name} is outside of any table", fix)
            for key in table:
                if "-" in key and key.replace("-", "_") in table:
                    problem = f"{path} [{name}] has {key} and {key.replace('-', '_')}"
                    raise SettingError(problem, "leave one of them out, they are the same setting")
        self.tracker: str | None = tracker
        self._path = path
        self._tables: dict[str, dict[str, str]] = {
            name: {key.replace("-", "_"): _text(value) for key, value in table.items()}
            for name, table in document.items()
        }
        self.unused = [name for name in self._tables if name != DEFAULT]

    def variant(self, tracker: str) -> str:
        """Return the name of a tracker with these settings, such as `bytetrack@best`.

        It names rows of tables and folders of results. Without a file it is the tracker's name.
        """
        if self._path is None:
            return tracker
        name = re.sub(r"[^\w+=-]", "_", self._path.stem)
        return f"{tracker}{VARIANT}{name}"

    def check(self, kinds: Mapping[str, type[Settings]]) -> None:
        """Raise a `SettingError` if a table has a setting that none of these classes has."""
        for name, table in self._tables.items():
            try:
                _build(kinds, table)
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
        """Build the settings of one sequence: an instance of each of `kinds`, named for errors.

        `given` overrides the settings of the file, which override `fitted`. Of these, settings of
        another form than the chosen one are left out. A table for a sequence applies to its
        halves, too.
        """
        values: dict[str, Any] = dict(self._tables.get(DEFAULT, {}))
        for name, table in self._tables.items():
            names = {sequence, without_half(sequence)[0]}
            if name != DEFAULT and any(fnmatchcase(known, name) for known in names):
                values |= table
                self.unused = [other for other in self.unused if other != name]
        chosen = values | dict(given)
        suited = {
            name: value
            for name, value in (fitted or {}).items()
            if name not in FORM_SETTINGS or chosen.get("form", "") in {"", FORM_SETTINGS[name][0]}
        }
        return _build(kinds, suited | chosen)


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # which worker processes do not need

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"there is no settings file {path}", "check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        fix = 'write [default] or ["SEQUENCE"] and below it lines of key = value'
        raise InputError(f"{path} is not a TOML file of settings ({error})", fix) from error


def _text(value: object) -> str:
    """Write a TOML value as on the command line, whose parser checks types."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _build(kinds: Mapping[str, type[Settings]], values: Mapping[str, Any]) -> list[Settings]:
    """Build an instance of each class; errors for unknown names mention the first class."""
    first = next(iter(kinds))
    parts: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    for key, value in values.items():
        owners = (name for name, kind in kinds.items() if key in kind.__dataclass_fields__)
        parts[next(owners, first)][key] = value
    return [build_settings(kind, parts[name], name) for name, kind in kinds.items()]


def read_settings_by_tracker(
    trackers: Iterable[str], files: Iterable[Path]
) -> dict[str, SequenceSettings]:
    """Return the settings of trackers that are given by name, and of those that files name.

    The latter are named `TRACKER@FILE`, without the file's ending. Raises `SettingError` for a
    file that names no tracker or an unknown one, for two files that give one name, and for settings
    that the tracker does not have.
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
        file_settings.check(settings_classes_of(name))
        variant = file_settings.variant(name)
        if file_of.setdefault(variant, file).resolve() != file.resolve():
            problem = f"{file_of[variant]} and {file} are both named {variant}"
            raise SettingError(problem, "rename one of the files")
        settings[variant] = file_settings
    return settings


def tracker_of(variant: str) -> str:
    """Return the tracker of a name such as `bytetrack@best`."""
    return variant.partition(VARIANT)[0]


def unused_tables(settings: Mapping[str, SequenceSettings]) -> list[str]:
    """Return a message for each table of settings, by tracker, that matched no sequence."""
    return [
        f"the settings of {tracker} for [{name}] match none of these sequences"
        for tracker, tracker_settings in settings.items()
        for name in tracker_settings.unused
    ]


def choose_tracker(
    tracker: str | None, sequence_settings: SequenceSettings, fitted: str | None = None
) -> str:
    """Return the tracker of the flag or of the settings file, else `fitted`, else the default.

    Raises `SettingError` if the file names an unknown tracker or another one than the flag.
    """
    named = sequence_settings.tracker
    if named is None:
        return tracker or fitted or DEFAULT_TRACKER
    if named not in TRACKERS:
        fix = did_you_mean(named, TRACKERS)
        raise SettingError(f"the settings are for {named!r}, which is not a tracker", fix)
    if tracker not in {None, named}:
        problem = f"--tracker is {tracker}, but the settings are for {named}"
        raise SettingError(problem, "leave --tracker out, or give that tracker's settings")
    return named


def given_settings(
    kinds: Mapping[str, type[Settings]], flags: Mapping[str, Any], texts: Iterable[str]
) -> dict[str, Any]:
    """Merge flags and `key=value` texts of these settings classes, the tracker's first.

    Raises `SettingError` for a setting that has different values in both.
    """
    tracker, tracker_class = next(iter(kinds.items()))
    listed = {key.replace("-", "_"): value for key, value in parse_key_values(texts).items()}
    listed = drop_comments(listed, tracker_class)
    for key in flags.keys() & listed.keys():
        classes = (kind for kind in kinds.values() if key in kind.__dataclass_fields__)
        owner = next(classes, tracker_class)
        one, other = (
            build_settings(owner, {key: values[key]}, tracker) for values in (flags, listed)
        )
        if one != other:
            flag = "--" + key.replace("_", "-")
            problem = f"{flag} {flags[key]} and --set {key}={listed[key]} disagree"
            raise SettingError(problem, "give one of them")
    return {**flags, **listed}


def check_public(public: Path | None, settings: Sequence[Settings]) -> None:
    """Check public detections against the settings of a tracker for each sequence.

    Raises `SettingError` if no sequence uses them, or if one file is given for several sequences.
    """
    using = [each for each in settings if getattr(each, "track_type", "") == "public_track"]
    if public and settings and not using:
        fix = "add --track-type public_track, which outrack and otrack have, or omit it"
        raise SettingError("--public is given, but any detection can start a track", fix)
    if public and len(using) > 1 and public.is_file():
        fix = "give a folder or dataset that has each sequence's"
        raise SettingError(f"{public} is one file for {len(using)} sequences", fix)
