import numpy as np

from lwmport.validators.histogram import HIGHEST, LOWEST, Counter, Histogram


def test_bins_are_quarter_decades() -> None:
    counter = Counter()
    counter.add(np.array([1.0, 1.7, 1.8, 9.99, 10.0]))
    assert counter.result() == Histogram(start=0, counts=(2, 1, 0, 1, 1), zeros=0, incomparable=0)


def test_pieces_add_up() -> None:
    counter = Counter()
    counter.add(np.array([0.0, 1e-5]))
    counter.add(np.array([np.inf, 1e-5, 0.0]))
    assert counter.result() == Histogram(start=-20, counts=(2,), zeros=2, incomparable=1)


def test_extremes_are_counted_in_the_outermost_bins() -> None:
    counter = Counter()
    counter.add(np.array([5e-324, 1e300]))
    found = counter.result()
    assert (found.start, found.start + len(found.counts) - 1, sum(found.counts)) == (LOWEST, HIGHEST, 2)


def test_nothing_differs() -> None:
    counter = Counter()
    counter.add(np.zeros(4))
    assert counter.result().counts == ()
