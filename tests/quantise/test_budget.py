"""Bits within a budget: those that win most for their bytes come first."""

from lwmport.quantise.budget import Sensitivity, chosen, total_bytes, total_loss

BYTES = {4: 100, 8: 200, 16: 400}


def row(name: str, loss: float) -> Sensitivity:
    return Sensitivity(name=name, bytes=BYTES, loss={4: loss, 8: loss / 256, 16: 0.0})


ROWS = [row("small", 0.01), row("large", 1.0), row("middle", 0.1)]


def test_bytes_go_where_they_win_most() -> None:
    assert chosen(ROWS, most_bytes=300) == {"small": 4, "large": 4, "middle": 4}
    assert chosen(ROWS, most_bytes=499) == {"small": 4, "large": 8, "middle": 4}
    bits = chosen(ROWS, most_bytes=500)
    assert bits == {"small": 4, "large": 8, "middle": 8}
    assert (total_bytes(ROWS, bits), total_loss(ROWS, bits)) == (500, 0.01 + 1.1 / 256)


def test_a_step_that_is_too_large_leaves_room_for_others() -> None:
    wide = Sensitivity(name="wide", bytes={4: 1000, 8: 2000}, loss={4: 100.0, 8: 0.0})
    assert chosen([wide, ROWS[1]], most_bytes=1250) == {"wide": 4, "large": 8}


def test_no_more_bytes_are_taken_than_the_loss_needs() -> None:
    assert chosen(ROWS, most_loss=2) == {"small": 4, "large": 4, "middle": 4}
    assert chosen(ROWS, most_loss=0.12) == {"small": 4, "large": 8, "middle": 4}
    assert set(chosen(ROWS, most_loss=0).values()) == {16}


def test_a_tensor_that_loses_nothing_stays() -> None:
    assert chosen([row("none", 0.0), ROWS[0]], most_loss=0) == {"none": 4, "small": 16}
