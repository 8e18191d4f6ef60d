import math

import pytest

from lwmport.errors import UsageError
from lwmport.models.llama.tolerances import TOLERANCES as LLAMA
from lwmport.models.specs import FAMILIES
from lwmport.models.vqgan.tolerances import TOLERANCES as VQGAN
from lwmport.types import Kind, TensorSpec, Tolerances
from lwmport.validators.tolerances import DEFAULTS, EXACT, tolerance_for

OTHER = Tolerances()

PIXELS = TensorSpec(name="pixel_values", shape=("batch", 256, 256, 3), dtype="float32", kind=Kind.PICTURE)
STATES = TensorSpec(name="quantized_states", shape=("batch", 16, 16, 64), dtype="float32")
CODES = TensorSpec(name="codebook_indices", shape=("batch", 16, 16), dtype="int32", kind=Kind.INDICES)


def test_the_released_precision() -> None:
    assert tolerance_for(VQGAN, PIXELS).atol == tolerance_for(VQGAN, STATES).atol == 1e-4
    assert tolerance_for(VQGAN, PIXELS).rtol == tolerance_for(VQGAN, STATES).rtol == 0


@pytest.mark.parametrize("precision", DEFAULTS)
def test_integers_are_exact_in_every_precision(precision: str) -> None:
    codes = tolerance_for(VQGAN, CODES, precision)
    assert codes.atol == codes.rtol == 0
    assert (codes is EXACT) == (precision in {"float32", "float64"})
    assert tolerance_for(LLAMA, CODES, precision) is EXACT
    assert tolerance_for(VQGAN, TensorSpec(name="mask", shape=(), dtype="bool"), precision) is EXACT


def test_an_unnamed_output_takes_its_familys_row_or_its_precisions_default() -> None:
    logits = TensorSpec(name="logits", shape=("batch", 32000), dtype="float32")
    assert tolerance_for(LLAMA, logits, "bfloat16") is LLAMA.usual["bfloat16"]
    assert tolerance_for(LLAMA, PIXELS) is LLAMA.usual["float32"]
    assert tolerance_for(LLAMA, logits, "float64") is DEFAULTS["float64"]
    assert tolerance_for(VQGAN, logits) is tolerance_for(OTHER, logits) is DEFAULTS["float32"]


@pytest.mark.parametrize(("precision", "measured", "decibels"), [("float32", 1.5e-5, 109), ("float16", 2e-2, 48)])
def test_a_language_model_of_full_depth_fits(precision: str, measured: float, decibels: float) -> None:
    row = tolerance_for(LLAMA, TensorSpec(name="logits", shape=(), dtype="float32"), precision)
    deeper = (80 / 32) ** 0.5
    assert row.atol > deeper * measured
    assert row.min_sqnr_db is not None
    assert row.min_sqnr_db < decibels - 20 * math.log10(deeper)


def test_coarser_precisions_are_never_tighter() -> None:
    for family in (VQGAN, LLAMA, OTHER):
        rows = [tolerance_for(family, PIXELS, precision) for precision in ("float64", "float32", "float16", "bfloat16")]
        assert [row.atol for row in rows] == sorted(row.atol for row in rows)
        bounds = [row.min_sqnr_db for row in rows if row.min_sqnr_db is not None]
        assert bounds == sorted(bounds, reverse=True)


def test_every_row_says_why() -> None:
    own = [row for spec in FAMILIES.values() for rows in (spec.tolerances.outputs, spec.tolerances.usual)
           for row in rows.values()]  # fmt: skip
    rows = (EXACT, *DEFAULTS.values(), *own)
    assert all(len(row.why) > 40 and row.why.endswith(".") for row in rows)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"found 'bfloat'; did you mean 'bfloat16'"):
        tolerance_for(VQGAN, PIXELS, "bfloat")


def test_indices_cannot_be_fractions() -> None:
    with pytest.raises(UsageError, match="expected an integer dtype for the indices 'codes', found float32"):
        tolerance_for(VQGAN, TensorSpec(name="codes", shape=(), dtype="float32", kind=Kind.INDICES))


def test_one_layer_is_held_to_more_than_a_stack_of_them() -> None:
    states = TensorSpec(name="new_hidden_states", shape=(), dtype="float32")
    least = tolerance_for(LLAMA, states).min_sqnr_db
    assert least is not None
    assert 105 < least < 115
    assert tolerance_for(LLAMA, states, "float16") is LLAMA.usual["float16"]
