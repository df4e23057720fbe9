"""Several pipelines in one command: which options belong to which of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from mottool.errors import SettingError
from mottool.files import existing_path
from mottool.pipelines.choice import PipelineConfig, full_name_of
from mottool.pipelines.options import Options

__all__ = ["NamedPipeline", "configs_of_each", "options_of_each", "parse_pipeline"]

C = TypeVar("C", bound=Options)


@dataclass(frozen=True)
class NamedPipeline(Generic[C]):
    """A pipeline by its full name, the options of the command, and weights of its own."""

    name: str
    options: C
    weights: Path | None = None


def parse_pipeline(text: str) -> tuple[str, Path | None]:
    """Parse `NAME` or `NAME=WEIGHTS` into the name and the file of weights.

    Raises `SettingError` if a part is missing, and `InputError` if the file is.
    """
    name, equals, weights = text.partition("=")
    if equals and not (name and weights):
        fix = "write NAME=WEIGHTS, such as fairmot-dla34=fairmot_dla34.pth"
        raise SettingError(f"--pipeline {text!r} lacks the name or the weights", fix)
    return name, existing_path(Path(weights)) if weights else None


def configs_of_each(config: PipelineConfig, texts: Sequence[str]) -> list[PipelineConfig]:
    """Return the settings of each of the pipelines `NAME` or `NAME=WEIGHTS`.

    Without texts it is the default pipeline. Raises `SettingError` as `options_of_each`.
    """
    if not texts:
        return [config]
    named = []
    for name, weights in map(parse_pipeline, texts):
        each = replace(config, pipeline=name)
        named.append(NamedPipeline(full_name_of(each)[0], each, weights))
    return options_of_each(named)


def options_of_each(pipelines: Sequence[NamedPipeline[C]]) -> list[C]:
    """Return the options of each of several pipelines: those of the command that it accepts.

    A single pipeline gets all of them. Raises `SettingError` for a repeated or unknown name, for an
    option that no pipeline accepts, and for weights that several of them accept.
    """
    from mottool.pipelines.build import accepted_options

    names = [pipeline.name for pipeline in pipelines]
    options = [pipeline.options for pipeline in pipelines]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise SettingError(f"--pipeline {repeated[0]} is given more than once", "omit one of them")
    for field in fields(Options) if len(names) > 1 else []:
        if all(getattr(each, field.name) == field.default for each in options):
            continue
        takers = [
            pipeline.name
            for pipeline in pipelines
            if field.name in accepted_options(pipeline.name)
            and not (field.name == "weights" and pipeline.weights)
        ]
        _check(field.name, takers, names)
        default: dict[str, Any] = {field.name: field.default}
        options = [
            each if name in takers else replace(each, **default)
            for name, each in zip(names, options, strict=True)
        ]
    return [
        replace(each, weights=pipeline.weights) if pipeline.weights else each
        for pipeline, each in zip(pipelines, options, strict=True)
    ]


def _check(option: str, takers: Sequence[str], names: Sequence[str]) -> None:
    """Raise `SettingError` for an option that no pipeline takes, and for weights that two take."""
    flag = f"--{option.replace('_', '-')}"
    if not takers:
        raise SettingError(f"{flag} applies to none of {', '.join(names)}", "omit it")
    if option.endswith("weights") and len(takers) > 1:
        fix = "write them after the name, as in --pipeline fairmot-dla34=fairmot_dla34.pth"
        raise SettingError(f"{flag} could be those of {' or '.join(takers)}", fix)
