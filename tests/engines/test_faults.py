"""Results are complete and the same when workers are killed at random."""

from benchmarks.faults import compare, make


def test_results_are_the_same_when_workers_are_killed(tmp_path):
    make(tmp_path, 12, frames=8)
    kills, wrong = compare(tmp_path, kills=2, seed=1, pause=3)
    assert kills
    assert not wrong
