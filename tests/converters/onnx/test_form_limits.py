"""A form is asked whether it takes the sizes of a model before it is chosen; the next one is written, and named."""

from pathlib import Path

import pytest

import lwmport
from lwmport.models.options import Options
from lwmport.types import Status


def converted(size: int, out: Path, **options: object) -> lwmport.Outcome:
    settings = (
        f"hidden_size={2 * size}",
        "num_attention_heads=2",
        "intermediate_size=32",
        "vocab_size=32",
        "max_sequence_length=64",
    )
    dialect = options.pop("dialect", None)
    return lwmport.convert(
        lwmport.Request(
            component="llama-block", format="onnx", out=out, config="debug", batch="dynamic" if dialect is None else 1,
            dialect=dialect, options=Options(settings=settings, **options),
        )
    )  # fmt: skip


@pytest.mark.parametrize(("size", "taken"), [(100, 0), (12, 0), (96, 1)])
def test_a_head_size_that_group_query_attention_refuses(size: int, taken: int, tmp_path: Path) -> None:
    """LWM's own size 3b has heads of 100."""
    outcome = converted(size, tmp_path)
    assert outcome.status is Status.PASSED
    (part,) = outcome.manifest.components
    assert ("com.microsoft.GroupQueryAttention" in part.operators) == taken
    assert "com.microsoft.MultiHeadAttention" in part.operators
    said = [choice.source for choice in outcome.manifest.choices if choice.name == "operators"]
    assert said == ([] if taken else ["it takes head sizes that are a multiple of 8 alone"])


def test_several_tokens_of_a_known_number_are_decomposed(tmp_path: Path) -> None:
    outcome = converted(12, tmp_path, sequence=4)
    assert outcome.status is Status.PASSED
    (part,) = outcome.manifest.components
    assert not {name for name in part.operators if name.endswith(("QueryAttention", "HeadAttention"))}


def test_a_vendors_operator_that_refuses_is_named(tmp_path: Path) -> None:
    outcome = converted(12, tmp_path, dialect="ascend-npu", max_length=16, sequence=4)
    assert outcome.status is Status.PASSED
    assert any("npu.NPURotaryMul" in str(choice.value) for choice in outcome.manifest.choices)
