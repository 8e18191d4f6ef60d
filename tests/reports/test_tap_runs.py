from bisections import EQUAL, taps
from test_depth_chart import tap

from lwmport.reports.tap_runs import happening, runs


def test_few_taps_are_each_alone_and_many_go_by_layer() -> None:
    assert [run.name for run in runs(taps(1, None), 20)] == [one.tap for one in taps(1, None)]
    found = list(runs(taps(32, 17), 40))
    assert [run.name for run in found[:3]] == ["embed", "layers.0", "layers.1"]
    assert found[18].whole < 12
    assert found[18].events == "enters at layers.17.key; amplified 14.2 × at layers.17.scores"


def test_many_taps_without_layers_share_rows_evenly() -> None:
    found = list(runs(tuple(tap(place, EQUAL) for place in range(1000)), 64))
    assert {len(run.taps) for run in found} <= {16, 8}
    assert found[0].name == "t0 to t15"
    assert sum(len(run.taps) for run in found) == 1000


def test_of_much_that_happens_what_enters_goes_first() -> None:
    loud = [tap(place, EQUAL, amplified=float(place)) for place in range(1, 100)]
    kept, more = happening((*loud, tap(100, EQUAL, enters=True), tap(101, EQUAL)), 3)
    assert [one.tap for _, one in kept] == ["t98", "t99", "t100"]
    assert [place for place, _ in kept] == [97, 98, 99]
    assert more == 97
