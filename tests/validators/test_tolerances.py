import pytest

from lwmport.errors import UsageError
from lwmport.types import Kind, TensorSpec
from lwmport.validators.tolerances import DEFAULTS, EXACT, OUTPUTS, tolerance_for

PIXELS = TensorSpec(name="pixel_values", shape=("batch", 256, 256, 3), dtype="float32", kind=Kind.PICTURE)
STATES = TensorSpec(name="quantized_states", shape=("batch", 16, 16, 64), dtype="float32")
CODES = TensorSpec(name="codebook_indices", shape=("batch", 16, 16), dtype="int32", kind=Kind.INDICES)


def test_the_released_precision() -> None:
    assert tolerance_for("vqgan", PIXELS).atol == tolerance_for("vqgan", STATES).atol == 1e-4
    assert tolerance_for("vqgan", PIXELS).rtol == tolerance_for("vqgan", STATES).rtol == 0


@pytest.mark.parametrize("precision", DEFAULTS)
def test_integers_are_exact_in_every_precision(precision: str) -> None:
    assert tolerance_for("vqgan", CODES, precision) is EXACT
    assert tolerance_for("vqgan", TensorSpec(name="mask", shape=(), dtype="bool"), precision) is EXACT


def test_an_unnamed_output_takes_its_precisions_default() -> None:
    logits = TensorSpec(name="logits", shape=("batch", 32000), dtype="float32")
    assert tolerance_for("llama", logits, "bfloat16") is DEFAULTS["bfloat16"]
    assert tolerance_for("llama", PIXELS) is DEFAULTS["float32"]


def test_coarser_precisions_are_never_tighter() -> None:
    for table in (DEFAULTS, {precision: tolerance_for("vqgan", PIXELS, precision) for precision in DEFAULTS}):
        atols = [table[precision].atol for precision in ("float64", "float32", "float16", "bfloat16")]
        assert atols == sorted(atols)


def test_every_row_says_why() -> None:
    rows = (EXACT, *DEFAULTS.values(), *OUTPUTS.values())
    assert all(len(row.why) > 40 and row.why.endswith(".") for row in rows)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"bfloat16, found 'bfloat'; did you mean 'bfloat16'"):
        tolerance_for("vqgan", PIXELS, "bfloat")


def test_indices_cannot_be_fractions() -> None:
    with pytest.raises(UsageError, match="expected an integer dtype for the indices 'codes', found float32"):
        tolerance_for("vqgan", TensorSpec(name="codes", shape=(), dtype="float32", kind=Kind.INDICES))
