"""What ranks found over their own keys is merged into attention over all of them."""

import numpy as np

from lwmport.runtime.ring.running import Running, merged, nothing_seen, packed


def seen(scores: np.ndarray, values: np.ndarray) -> Running:
    maximum = scores.max(-1)
    weights = np.exp(scores - maximum[..., None])
    return Running(weights @ values, weights.sum(-1), maximum)


def test_states_over_parts_of_the_keys_merge_exactly() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((2, 3, 4, 12)).astype(np.float32) * 30
    values = rng.standard_normal((2, 3, 12, 8)).astype(np.float32)
    query = np.zeros((2, 3, 4, 8), np.float32)
    parts = [seen(scores[..., at : at + 4], values[:, :, at : at + 4]) for at in (8, 0, 4)]
    found = merged([*map(packed, parts), packed(nothing_seen(query))])
    whole = seen(scores, values)
    np.testing.assert_allclose(found.maximum, whole.maximum)
    np.testing.assert_allclose(
        found.numerator / found.denominator[..., None], whole.numerator / whole.denominator[..., None], atol=1e-5
    )


def test_a_state_takes_anothers_values_and_forgets_them() -> None:
    query = np.zeros((1, 1, 2, 4), np.float32)
    own, other = nothing_seen(query), seen(np.ones((1, 1, 2, 3), np.float32), np.ones((1, 1, 3, 4), np.float32))
    own.become(other)
    np.testing.assert_array_equal(packed(own), packed(other))
    own.forget()
    np.testing.assert_array_equal(packed(own), packed(nothing_seen(query)))
