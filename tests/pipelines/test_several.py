"""The options of several pipelines in one command."""

from dataclasses import replace
from pathlib import Path

import pytest

from mottool.errors import InputError, SettingError
from mottool.pipelines.options import Options
from mottool.pipelines.several import NamedPipeline, options_of_each, parse_pipeline

WEIGHTS = Path("a.pth")


def of(*names, **given):
    return [NamedPipeline(name, Options(**given)) for name in names]


def test_a_name_may_have_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.pt").touch()
    assert parse_pipeline("mottool-s") == ("mottool-s", None)
    assert parse_pipeline("cstrack=a=b.pt") == ("cstrack", Path("a=b.pt"))
    for text in ("cstrack=", "=a.pt"):
        with pytest.raises(SettingError, match="lacks the name or the weights"):
            parse_pipeline(text)
    with pytest.raises(InputError, match="there is no file or folder b.pt"):
        parse_pipeline("cstrack=b.pt")


def test_options_go_to_the_pipelines_that_accept_them():
    given = {"min_score": 0.3, "score_scale": 2.0, "device": "cpu", "batch": 4}
    one, public = options_of_each(of("mottool-s", "public+histogram", **given))
    assert one == Options(min_score=0.3, device="cpu", batch=4)
    assert public == Options(score_scale=2.0, device="cpu", batch=4)


def test_a_single_pipeline_keeps_all_options():
    (options,) = options_of_each(of("mottool-s", score_scale=2.0))
    assert options.score_scale == 2.0  # refused later, with the message for one pipeline


def test_weights_go_to_the_only_network_that_has_none_of_its_own():
    one, public = options_of_each(of("fairmot-dla34", "public+histogram", weights=WEIGHTS))
    assert (one.weights, public.weights) == (WEIGHTS, None)
    network, other = of("fairmot-dla34", "jde-1088x608", weights=WEIGHTS)
    first, second = options_of_each([network, replace(other, weights=Path("b.pt"))])
    assert (first.weights, second.weights) == (WEIGHTS, Path("b.pt"))


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["mottool-s", "cstrack"], {"score_scale": 2.0}, "--score-scale applies to none of"),
        (["mottool-s", "cstrack"], {"weights": WEIGHTS}, "could be those of mottool-s or cstrack"),
        (["mottool-s", "mottool-s"], {}, "is given more than once"),
        (["mottool-s", "cstrak"], {"min_score": 0.2}, "did you mean 'cstrack'"),
    ],
)
def test_options_without_a_clear_owner_are_refused(names, given, message):
    with pytest.raises(SettingError, match=message):
        options_of_each(of(*names, **given))
