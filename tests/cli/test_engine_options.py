"""The engine of the flags: how many processes it has."""

from contextlib import nullcontext

import pytest

from mottool.cli.engine_options import EngineSettings, open_engine


@pytest.mark.parametrize(
    ("given", "networks", "expected"),
    [
        ({}, True, (2, 1)),
        ({"network_jobs": 4}, True, (4, 4)),
        ({"network_jobs": 4}, False, (2, 0)),
        ({"network_jobs": 4, "jobs": 3}, True, (3, 4)),
        ({"network_jobs": 40}, True, (9, 40)),
    ],
)
def test_networks_that_were_asked_for_run_although_there_are_fewer_cores(
    given, networks, expected, monkeypatch
):
    engines = []

    def local(jobs, network_jobs, timeout):
        engines.append((jobs, network_jobs))
        return nullcontext()

    monkeypatch.setattr("mottool.engines.local.local_engine", local)
    monkeypatch.setattr("mottool.cli.engine_options.cores", lambda: 2)
    with open_engine(EngineSettings(**given), 9, networks):
        pass
    assert engines == [expected]
