import pytest

from lwmport.errors import CheckpointError, ConfigError
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.infer_config import settled
from lwmport.models.llama.presets import CONFIGS, VISION_CONFIGS
from lwmport.models.llama.weights import checkpoint_weights, llama_weights
from lwmport.types import WeightSpec

DECIDED = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "tie_word_embeddings", "scan_layers",
    "param_scan_axis",
)  # fmt: skip


@pytest.mark.parametrize("layout", [{}, {"param_scan_axis": 1}, {"scan_layers": False}], ids=str)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", ["200m", "13b"])
def test_everything_that_shapes_decide_is_read_from_them(name: str, tied: bool, layout: dict[str, int]) -> None:  # noqa: FBT001
    actual = CONFIGS[name].updated({"vocab_size": 500, "tie_word_embeddings": tied, **layout})
    heads = actual.num_attention_heads
    start = LlamaConfig(num_attention_heads=heads, hidden_size=2 * heads)
    found = settled(start, checkpoint_weights(actual))
    assert {field: getattr(found, field) for field in DECIDED} == {field: getattr(actual, field) for field in DECIDED}


def test_the_tables_of_codes_are_read_too() -> None:
    actual = VISION_CONFIGS["debug"].updated({"vision_vocab_size": 77, "tie_vision_embeddings": True})
    assert settled(VISION_CONFIGS["debug"], checkpoint_weights(actual)) == actual


def test_what_was_asked_for_may_not_be_contradicted() -> None:
    specs = checkpoint_weights(CONFIGS["200m"])
    assert settled(CONFIGS["200m"], specs, fixed=DECIDED) == CONFIGS["200m"]
    with pytest.raises(ConfigError, match="expected hidden_size 256 as asked for, found hidden_size 1024"):
        settled(CONFIGS["debug"], specs, fixed=["hidden_size", "theta"])


def test_as_many_layers_as_channels_leave_the_axis_to_the_configuration() -> None:
    config = LlamaConfig(
        hidden_size=4, intermediate_size=6, num_hidden_layers=4, num_attention_heads=2, param_scan_axis=1
    )
    assert settled(config, checkpoint_weights(config)) == config


@pytest.mark.parametrize("missing", ["transformer/wte/embedding", "transformer/h/1/feed_forward/w1/kernel"])
def test_a_checkpoint_that_says_too_little_is_refused(missing: str) -> None:
    specs = {name: spec for name, spec in llama_weights(CONFIGS["debug"]).items() if name != missing}
    with pytest.raises(CheckpointError, match=f"expected {missing} with 2 axes"):
        settled(CONFIGS["debug"], specs)


def test_a_text_checkpoint_is_no_vision_language_one() -> None:
    with pytest.raises(CheckpointError, match="vte/embedding"):
        settled(VisionLlamaConfig(), checkpoint_weights(CONFIGS["7b"]))


def test_a_vector_is_no_table() -> None:
    with pytest.raises(CheckpointError, match=r"found \[3\]"):
        settled(LlamaConfig(), {"transformer/wte/embedding": WeightSpec(shape=(3,), dtype="float32")})
