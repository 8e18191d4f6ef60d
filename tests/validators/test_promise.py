"""A promise is kept by the name, the shape and the dtype, and what breaks it is told in one line."""

import ml_dtypes
import numpy as np
import pytest

from lwmport.types import Array, TensorSpec
from lwmport.validators.promise import broken, fits

SPEC = TensorSpec(name="y", shape=("batch", 3), dtype="float32")
KEPT = np.zeros((2, 3), np.float32)
BROKEN: dict[str, tuple[Array | None, str]] = {
    "missing": (None, "expected y as float32[batch, 3], found nothing"),
    "another size": (np.zeros((2, 4), np.float32), "expected y as float32[batch, 3], found float32[2, 4]"),
    "an axis more": (np.zeros((2, 3, 1), np.float32), "expected y as float32[batch, 3], found float32[2, 3, 1]"),
    "another dtype": (KEPT.astype(np.float16), "expected y as float32[batch, 3], found float16[2, 3]"),
    "bfloat16": (KEPT.astype(ml_dtypes.bfloat16), "expected y as float32[batch, 3], found bfloat16[2, 3]"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_a_promise_is_told(case: str) -> None:
    found, said = BROKEN[case]
    assert broken(SPEC, found) == said
    assert not broken(SPEC, KEPT)


def test_a_dtype_that_the_caller_casts_does_not_count() -> None:
    assert not broken(SPEC, KEPT.astype(np.float16), dtype=False)
    assert broken(SPEC, KEPT.T, dtype=False)


def test_a_named_size_is_the_one_that_is_known() -> None:
    assert not broken(SPEC, KEPT, {"batch": 2})
    assert broken(SPEC, KEPT, {"batch": 5}) == "expected y as float32[5, 3], found float32[2, 3]"
    assert fits(("past+new", 4), (7, 4))
    assert not fits((), (1,))
