"""Checkpoints made and converted: the same bits there and back, the same logits as transformers."""

import dataclasses
import json
import shutil
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np
import pytest
from flax import serialization

from lwmport import atomic
from lwmport.checkpoints import model_weights
from lwmport.checkpoints.fit import fit
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.lazy.layers import Part
from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers import safetensors_folder as sharded
from lwmport.checkpoints.writers.write import WRITERS
from lwmport.errors import CheckpointError, ConfigError, PortError, UsageError
from lwmport.models.families import resolve
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.weights import checkpoint_weights, llama_weights, stacked_source
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.convert import FORMATS, Conversion, convert
from lwmport.pipeline.checkpoint.make import DTYPES, Recipe, make
from lwmport.types import Array, WeightSpec, dtype_of

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_sequence_length": 64,
    "theta": 1e7,
    "rms_norm_eps": 1e-6,
}
CODES = {**SMALL, "vision_vocab_size": 20}


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., str]:
    """Write a configuration and return its path."""

    def write(fields: Mapping[str, Any] = SMALL, **changed: Any) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**fields, **changed}))
        return str(path)

    return write


def bits(checkpoint: Any) -> dict[str, bytes]:
    return {name: checkpoint.read(name).tobytes() for name in checkpoint.specs}


@pytest.mark.parametrize("component", ["llama", "vision-llama"])
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("dtype", DTYPES)
def test_to_hugging_face_and_back_to_the_byte(
    component: str, axis: int | None, dtype: str, config: Callable[..., str], tmp_path: Path
) -> None:
    fields = SMALL if component == "llama" else CODES
    named = config(fields, param_scan_axis=axis or 0)
    first, folder, second = tmp_path / "first", tmp_path / "hf", tmp_path / "second"
    make(Recipe(component=component, config=named, dtype=dtype, stacked=axis is not None), first)
    convert(str(first), folder, Conversion(form="hf", config=named, shard_bytes=20_000))
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2
    convert(f"{folder}", second, Conversion(form="msgpack_stream", stacked=axis is not None, axis=axis))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("axis", [0, 1])
def test_stacked_and_not_in_every_format(form: str, axis: int, config: Callable[..., str], tmp_path: Path) -> None:
    """Stacked, taken apart, stacked on the other axis, and so back: the same bits in each form."""
    named = config(param_scan_axis=axis)
    paths = [tmp_path / name for name in "abcd"]
    make(Recipe(component="llama", config=named, form=form, dtype="float16"), paths[0])
    steps = ({"stacked": False}, {"stacked": True, "axis": 1 - axis}, {"axis": axis})
    for source, target, step in zip(paths, paths[1:], steps, strict=False):
        convert(str(source), target, Conversion(form=form, **step))
    assert paths[0].read_bytes() == paths[3].read_bytes()
    assert "transformer/h/2/attention/wq/kernel" in open_checkpoint(paths[1]).specs
    stack = open_checkpoint(paths[2]).specs["transformer/h/scan_decoder/attention/wq/kernel"]
    assert stack.shape.index(3) == 1 - axis


def test_a_layer_is_the_same_wherever_it_is(config: Callable[..., str], tmp_path: Path) -> None:
    """Alone, stacked on either axis, or never written: the seed and the name decide the numbers."""
    named = config()
    wanted = SeededWeights(llama_weights(LlamaConfig.from_json(SMALL)), 7)
    for axis in (0, 1):
        made = make(
            Recipe(component="llama", seed=7, config=named, settings=(f"param_scan_axis={axis}",)),
            tmp_path / f"axis {axis}",
        )
        assert made.source == wanted.source
        checkpoint = open_checkpoint(tmp_path / f"axis {axis}")
        settled = LlamaConfig.from_json({**SMALL, "param_scan_axis": axis})
        assert dict(checkpoint.specs) == checkpoint_weights(settled)
        for name in wanted.specs:
            source = stacked_source(settled, name)
            found = checkpoint.read(name) if source is None else Part(checkpoint.lazy(source[0]), *source[1:]).read()
            assert np.array_equal(found, wanted.read(name))


def test_a_stack_is_never_held(config: Callable[..., str], tmp_path: Path) -> None:
    """The largest stack is 67 MB; what numpy and Python have taken at most is a small part of it."""
    wide = {"vocab_size": 64, "hidden_size": 512, "intermediate_size": 4096, "num_hidden_layers": 8}
    recipe = Recipe(component="llama", config=config(**wide))
    tracemalloc.start()
    weights = make(recipe, tmp_path / "it")
    convert(str(tmp_path / "it"), tmp_path / "out", Conversion(form="msgpack_stream", stacked=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert weights.specs["transformer/h/scan_decoder/feed_forward/w1/kernel"].nbytes == 1 << 26
    assert peak < 1 << 25


@pytest.mark.parametrize("stacked", [True, False])
def test_only_language_models_have_layers_to_stack(stacked: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with pytest.raises(
        UsageError, match="expected a model whose layers can be stacked for --stacked and --unstacked, found vqgan"
    ):
        make(Recipe(component="vqgan", config="debug", stacked=stacked), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_making_twice_gives_the_same_bytes_and_another_seed_others(config: Callable[..., str], tmp_path: Path) -> None:
    named = config()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(Recipe(component="llama", seed=seed, config=named, dtype="bfloat16"), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert len(a) == len(c)


@pytest.mark.parametrize("prefix", ["params", "flax_params", "trainstate_params"])
@pytest.mark.parametrize("axis", [0, 1])
def test_lwms_prefixes_on_its_trees(prefix: str, axis: int, tmp_path: Path) -> None:
    """Files made by flax and msgpack alone, as LWM makes them: a stream of the tree, the tree, a whole train state."""
    settled = LlamaConfig.from_json({**SMALL, "param_scan_axis": axis})
    specs = checkpoint_weights(settled)
    arrays = {name: np.full(spec.shape, i, ml_dtypes.bfloat16) for i, (name, spec) in enumerate(specs.items())}
    path = tmp_path / "it"
    path.write_bytes(WRITTEN[prefix](arrays))
    checkpoint = open_checkpoint(f"{prefix}::{path}")
    family = resolve("llama", SMALL, specs=checkpoint.specs)
    assert family.config["param_scan_axis"] == axis
    fit(checkpoint, family.weights, family.name)
    assert bits(checkpoint) == {name: array.tobytes() for name, array in arrays.items()}


def stream(arrays: Mapping[str, Any]) -> bytes:
    packed = [(name.split("/"), serialization.to_bytes(array)) for name, array in arrays.items()]
    return b"".join(msgpack.packb(pair) for pair in packed)


def nested(arrays: Mapping[str, Array]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *above, last = name.split("/")
        node = tree
        for part in above:
            node = node.setdefault(part, {})
        node[last] = array
    return tree


def train_state(arrays: Mapping[str, Array]) -> bytes:
    """The parameters as flax variables, Adam's two moments of each, and the number of steps."""
    moments = {f"opt_state/0/{m}/params/{name}": array for m in ("mu", "nu") for name, array in arrays.items()}
    params = {f"params/params/{name}": array for name, array in arrays.items()}
    return stream({"step": 5, "opt_state/0/count": np.int32(5), **moments, **params})


WRITTEN: dict[str, Callable[[Mapping[str, Array]], bytes]] = {
    "params": stream,
    "flax_params": lambda arrays: serialization.to_bytes(nested(arrays)),
    "trainstate_params": train_state,
}


@pytest.mark.parametrize("above", ["", "params/", "params/params/"])
def test_a_stream_of_flax_variables_is_the_bare_tree(above: str, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(stream({f"{above}lm_head/kernel": np.ones(3), f"{above}x": np.ones(2)}))
    assert set(open_checkpoint(f"params::{tmp_path / 'it'}").specs) == {"lm_head/kernel", "x"}


def test_a_train_state_without_its_prefix_says_so(tmp_path: Path) -> None:
    content = {"params/params/x": np.ones(2), "opt_state/mu/x": np.ones(2)}
    (tmp_path / "it").write_bytes(stream(content))
    found = open_checkpoint(tmp_path / "it")
    assert set(found.specs) == {"x"}
    assert "the state of the optimiser in it is left out" in str(found.source["description"])


def test_one_error_names_everything_that_does_not_fit(config: Callable[..., str], tmp_path: Path) -> None:
    specs = checkpoint_weights(LlamaConfig.from_json(SMALL))
    arrays = {name: np.zeros(spec.shape, np.float32) for name, spec in specs.items()}
    arrays["extra/kernel"] = arrays.pop("transformer/ln_f/kernel")
    stack = "transformer/h/scan_decoder/feed_forward/w2/kernel"
    arrays[stack] = arrays[stack][:, :-1]
    (tmp_path / "it").write_bytes(stream(arrays))
    with pytest.raises(CheckpointError) as error:
        convert(str(tmp_path / "it"), tmp_path / "out", Conversion(form="safetensors", config=config()))
    for part in ("1 missing: transformer/ln_f/kernel", "1 not wanted: extra/kernel", f"of another shape: {stack}"):
        assert part in str(error.value)


def test_a_cast_that_overflows_leaves_nothing(config: Callable[..., str], tmp_path: Path) -> None:
    specs = llama_weights(LlamaConfig.from_json(SMALL))
    arrays = {name: np.zeros(spec.shape, np.float32) for name, spec in specs.items()}
    arrays["transformer/h/1/attention/wq/kernel"][3, 4] = -1e5
    (tmp_path / "it").write_bytes(stream(arrays))
    for form in ("msgpack_stream", "hf"):
        conversion = Conversion(form=form, dtype="float16", config=config())
        with pytest.raises(CheckpointError, match=r"h/1/attention/wq/kernel: .*found 100000 as the largest"):
            convert(str(tmp_path / "it"), tmp_path / "out" / "made", conversion)
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_an_interrupted_folder_is_gone_on_with(
    config: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "WORTH_KEEPING", 1)
    monkeypatch.setattr(model_weights, "recognised", lambda *_: None)  # which reads the first values of every tensor
    named = config()
    make(Recipe(component="llama", config=named), tmp_path / "it")
    conversion = Conversion(form="hf", config=named, shard_bytes=20_000)
    convert(str(tmp_path / "it"), tmp_path / "undisturbed", conversion)
    reads: list[str] = []

    class Interrupting:
        """Stops the first run at the last layer."""

        def phase(self, text: str) -> None:
            """Ignore it."""

        def progress(self, name: str, _done: int, _total: int) -> None:
            if name.startswith("model.layers.2.mlp") and not reads:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(str(tmp_path / "it"), tmp_path / "out", conversion, Interrupting())
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lwmport-unfinished"]
    lazy = Checkpoint.lazy
    monkeypatch.setattr(Checkpoint, "lazy", lambda self, name: _noting(lazy(self, name), name, reads))
    convert(str(tmp_path / "it"), tmp_path / "out", conversion)
    assert "transformer/wte/embedding" not in reads
    assert "lm_head/kernel" in reads
    made, expected = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("out", "undisturbed"))
    assert made == expected


def _noting(tensor: Any, name: str, reads: list[str]) -> Any:
    """Note the name when the tensor is read."""
    for method in ("pieces", "read", "flat"):
        original = getattr(tensor, method, None)
        if original is not None:
            setattr(tensor, method, lambda *args, call=original: (reads.append(name), call(*args))[1])
    return tensor


def test_a_disk_without_room_is_told_before_the_first_byte(
    config: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = config()
    make(Recipe(component="llama", config=named), tmp_path / "it")
    usage = dataclasses.make_dataclass("Usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10))
    message = r"expected [\d,]+ bytes free for .*, found 10 on its disk"
    with pytest.raises(PortError, match=message):
        make(Recipe(component="llama", config=named), tmp_path / "other")
    for form in ("hf", "msgpack_stream"):
        with pytest.raises(PortError, match=message):
            convert(str(tmp_path / "it"), tmp_path / "other", Conversion(form=form, config=named))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("conversion", "error", "message"),
    [
        ({"form": "hf", "config": "debug"}, ConfigError, "expected .*hidden_size 256.*found .*hidden_size 32"),
        ({"form": "hf", "stacked": True}, UsageError, "one tensor a layer for --to hf"),
        ({"form": "safetensors", "stacked": False, "axis": 1}, UsageError, "expected --axis with stacked layers"),
        ({"form": "gguf"}, UsageError, "expected a checkpoint format out of"),
        ({"form": "pickle", "dtype": "int8"}, UsageError, "expected a dtype out of"),
        ({"form": "pickle", "component": "vision-llama"}, CheckpointError, "transformer/vte/embedding"),
        ({"form": "pickle", "settings": ("hidden_size=64",)}, ConfigError, "expected hidden_size 64 as asked for"),
    ],
)
def test_what_is_refused(
    conversion: Mapping[str, Any], error: type[Exception], message: str, config: Callable[..., str], tmp_path: Path
) -> None:
    make(Recipe(component="llama", config=config()), tmp_path / "it")
    with pytest.raises(error, match=message):
        convert(str(tmp_path / "it"), tmp_path / "out", Conversion(**conversion))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("left_out", ["all", "theta", "rms_norm_eps"])
def test_what_no_tensor_tells_is_asked_for(left_out: str, config: Callable[..., str], tmp_path: Path) -> None:
    make(Recipe(component="llama", config=config()), tmp_path / "it")
    (tmp_path / "it.lwmport.json").unlink()
    fields = {name: value for name, value in SMALL.items() if name != left_out}
    named = None if left_out == "all" else config(fields)
    found = "tells heads, theta, epsilon, positions, found none" if named is None else "found config.json without them"
    with pytest.raises(UsageError, match=f"expected --config for it, because no tensor .*{found}"):
        convert(str(tmp_path / "it"), tmp_path / "out", Conversion(form="hf", config=named))
    assert not (tmp_path / "out").exists()


def test_what_is_written_beside_a_checkpoint_is_believed_as_long_as_it_belongs_to_it(
    config: Callable[..., str], tmp_path: Path
) -> None:
    it, beside = tmp_path / "it", tmp_path / "it.lwmport.json"
    make(Recipe(component="llama", config=config(theta=5e7)), it)
    convert(str(it), tmp_path / "hf", Conversion(form="hf"))
    assert json.loads((tmp_path / "hf/config.json").read_text())["rope_theta"] == 5e7
    kept = beside.read_bytes()
    it.unlink()
    beside.unlink()
    make(Recipe(component="llama", config=config(theta=5e7), seed=1), it)
    beside.write_bytes(kept)  # of the same tensors with other values
    with pytest.raises(UsageError, match="expected --config for it"):
        convert(str(it), tmp_path / "again", Conversion(form="hf"))


def test_a_configuration_that_contradicts_what_stands_beside_is_refused(
    config: Callable[..., str], tmp_path: Path
) -> None:
    make(Recipe(component="llama", config=config()), tmp_path / "it")
    other = config(theta=1e4)
    with pytest.raises(UsageError, match=r"expected theta 10000000.0 as it.lwmport.json says.*--set theta=10000.0"):
        convert(str(tmp_path / "it"), tmp_path / "hf", Conversion(form="hf", config=other))
    convert(str(tmp_path / "it"), tmp_path / "hf", Conversion(form="hf", config=other, settings=("theta=10000.0",)))
    assert json.loads((tmp_path / "hf/config.json").read_text())["rope_theta"] == 1e4


@pytest.mark.parametrize("seed", [3, 123_456_789])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_random_weights_are_known_wherever_they_go(
    seed: int, dtype: str, config: Callable[..., str], tmp_path: Path
) -> None:
    """Stacked, as a folder, and back, in another dtype: a seed that is no small number travels beside the file."""
    made, folder, back = tmp_path / "made", tmp_path / "hf", tmp_path / "back"
    make(Recipe(component="vision-llama", config=config(CODES), seed=seed), made)
    convert(str(made), folder, Conversion(form="hf", dtype=dtype))
    convert(str(folder), back, Conversion(form="safetensors", stacked=True, dtype="float32"))
    for path in (made, folder, back):
        _, weights = open_model("vision-llama", str(path), "lwm", Options(), 0)
        assert weights.source["description"].startswith(f"random weights (seed {seed}), not trained: {path.name}")
        assert weights.source["random_seed"] == seed


def test_weights_that_are_random_in_part_are_told_so(config: Callable[..., str], tmp_path: Path) -> None:
    make(Recipe(component="llama", config=config(), stacked=False, form="safetensors"), tmp_path / "it")
    arrays = {
        name: open_checkpoint(tmp_path / "it").read(name).copy() for name in open_checkpoint(tmp_path / "it").specs
    }
    arrays["lm_head/kernel"] += 1
    (tmp_path / "part").write_bytes(stream(arrays))
    _, weights = open_model("llama", str(tmp_path / "part"), config(), Options(), 0)
    assert weights.source["description"].startswith("29 of 30 tensors random (seed 0), not trained: part")


def test_a_folder_has_its_own_configuration_and_is_not_written_over(config: Callable[..., str], tmp_path: Path) -> None:
    named = config()
    make(Recipe(component="llama", config=named), tmp_path / "it")
    conversion = Conversion(form="hf", config=named)
    convert(str(tmp_path / "it"), tmp_path / "hf", conversion)
    with pytest.raises(UsageError, match="expected a folder that is new or empty"):
        convert(str(tmp_path / "it"), tmp_path / "hf", conversion)
    with pytest.raises(UsageError, match="hf has its own; use --set"):
        convert(str(tmp_path / "hf"), tmp_path / "out", Conversion(form="pickle", config=named))


def test_other_models_are_converted_as_they_are(tmp_path: Path) -> None:
    make(Recipe(component="vqgan", config="debug"), tmp_path / "it")
    convert(str(tmp_path / "it"), tmp_path / "out", Conversion(form="safetensors", dtype="bfloat16"))
    found, source = open_checkpoint(tmp_path / "out"), open_checkpoint(tmp_path / "it")
    for name in source.specs:
        assert np.array_equal(found.read(name), source.read(name).astype(ml_dtypes.bfloat16))
    for conversion in (Conversion(form="hf"), Conversion(form="pickle", stacked=True)):
        with pytest.raises(UsageError, match=r"expected one of the tensors transformer.* for --to hf"):
            convert(str(tmp_path / "it"), tmp_path / "never", conversion)


def test_every_format_can_be_asked_for() -> None:
    assert set(FORMATS) == {*WRITERS, "hf"}
    assert sharded.SHARD_BYTES == Conversion(form="hf").shard_bytes == 4_000_000_000


def tokens() -> Array:
    return np.random.default_rng(0).integers(0, SMALL["vocab_size"], (2, 9))


def with_transformers(folder: Path) -> Array:
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
    reason = "transformers is not installed; run: pip install 'lwmport[hf]'"
    transformers = pytest.importorskip("transformers", reason=reason)
    import torch

    with torch.no_grad():
        model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        logits: Array = model(torch.tensor(tokens())).logits.numpy()
    return logits


def with_lwmport(checkpoint: Checkpoint, fields: Mapping[str, Any], jax_outputs: Callable[..., Any]) -> Array:
    family = resolve("llama", fields, specs=checkpoint.specs)
    (component,) = family.components
    batch, sequence = tokens().shape
    inputs = {
        spec.name: np.zeros([{"batch": batch, "past": 0}.get(str(n), n) for n in spec.shape], dtype_of(spec.dtype))
        for spec in component.signature.inputs[3:]
    }
    inputs["input_ids"] = tokens()
    inputs["attention_mask"] = np.ones((batch, sequence), np.int64)
    inputs["position_ids"] = np.broadcast_to(np.arange(sequence), (batch, sequence)).copy()
    logits: Array = jax_outputs(component, checkpoint, inputs)["logits"]
    return logits


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_written_for_hugging_face_computes_the_same(
    tied: bool,  # noqa: FBT001 - a parameter of the test
    config: Callable[..., str],
    tmp_path: Path,
    jax_outputs: Callable[..., Any],
) -> None:
    named = config(tie_word_embeddings=tied)
    make(Recipe(component="llama", config=named, stacked=False), tmp_path / "it")
    convert(str(tmp_path / "it"), tmp_path / "hf", Conversion(form="hf", config=named))
    expected = with_transformers(tmp_path / "hf")
    found = with_lwmport(open_checkpoint(tmp_path / "it"), json.loads(Path(named).read_text()), jax_outputs)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * expected.std())


@pytest.mark.parametrize("form", ["one", "several", "bin"])
def test_what_transformers_writes_computes_the_same(form: str, tmp_path: Path, jax_outputs: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
    reason = "transformers is not installed; run: pip install 'lwmport[hf]'"
    transformers = pytest.importorskip("transformers", reason=reason)
    torch.manual_seed(0)
    names = {"max_sequence_length": "max_position_embeddings", "theta": "rope_theta"}
    fields = {names.get(name, name): value for name, value in SMALL.items()}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**fields, initializer_range=0.3))
    model.save_pretrained(tmp_path / "hf", max_shard_size="30KB" if form == "several" else "5GB")
    if form == "bin":
        (tmp_path / "hf" / "model.safetensors").unlink()
        torch.save(model.state_dict(), tmp_path / "hf" / "pytorch_model.bin")
    expected = with_transformers(tmp_path / "hf")
    checkpoint = open_checkpoint(tmp_path / "hf")
    found = with_lwmport(checkpoint, checkpoint.config, jax_outputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * expected.std())
    convert(str(tmp_path / "hf"), tmp_path / "stream", Conversion(form="msgpack_stream", stacked=True))
    convert(str(tmp_path / "stream"), tmp_path / "again", Conversion(form="hf", config=_as_file(checkpoint, tmp_path)))
    again = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "again").state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())


def _as_file(checkpoint: Checkpoint, folder: Path) -> str:
    path = folder / "own.json"
    path.write_text(json.dumps(dict(checkpoint.config)))
    return str(path)


def test_codes_are_read_as_a_vision_model(config: Callable[..., str], tmp_path: Path) -> None:
    named = config(CODES)
    made = make(Recipe(component="vision-llama", config=named, dtype="float16"), tmp_path / "it")
    assert made.specs["vision_head/kernel"] == WeightSpec(shape=(32, 20), dtype="float16")
    convert(str(tmp_path / "it"), tmp_path / "hf", Conversion(form="hf", config=named))
    found = VisionLlamaConfig.from_json(open_checkpoint(tmp_path / "hf").config)
    assert (found.vocab_size, found.vision_vocab_size) == (50, 20)
