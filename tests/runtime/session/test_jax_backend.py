"""How JAX compiles once for many lengths of a cache."""

import pytest

from lwmport.runtime.session.jax import ROUNDED, padding


@pytest.mark.parametrize(
    ("total", "new", "positions", "expected"),
    [
        (9, 9, 128, 0),  # no cache yet
        (10, 1, 128, ROUNDED - 9),
        (ROUNDED + 1, 1, 128, 0),
        (ROUNDED + 2, 1, 128, ROUNDED - 1 - (2 * ROUNDED + 1 - 128)),  # a round number would be one token too many
        (128, 1, 128, 0),
    ],
)
def test_a_cache_is_filled_up_to_a_round_number_within_the_positions(
    total: int, new: int, positions: int, expected: int
) -> None:
    assert padding(total, new, positions) == expected
    assert total + padding(total, new, positions) <= positions
