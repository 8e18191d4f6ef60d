"""``--to hf --quantize``: the tensors that each reader expects, a tight verdict, and faults that it must not pass."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import lwmport
from lwmport.errors import UsageError
from lwmport.models.options import Options
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import Judgement, judge
from lwmport.pipeline.validate.reference_runs import gather
from lwmport.pipeline.validate.rounded_products import AGREES
from lwmport.pipeline.validate.weights_read_back import EXACT, NOT_ROUNDED, judge_weights
from lwmport.runtime.runners.transformers import READ_BACK
from lwmport.types import Array, Kind, Status, TensorDiff
from lwmport.validators.outputs import verdict

pytest.importorskip("torch")
LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 128,
}
CODES = {**LLAMA, "vision_vocab_size": 24}
KEPT = ("*/w2/kernel=float16", "transformer/wte/*=float16")
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "compressed": ("llama", "hf", {"quantize": "w4a16", "symmetric": False, "method": "mse"}),
    "compressed-8": ("llama", "hf", {"quantize": "w8a16", "keep": KEPT}),
    "integers": ("vision-llama", "hf", {"quantize": "w8a8"}),
    "gptq": ("llama", "gptq", {"quantize": "w4a16", "group_size": 16}),
    "gptq-2": ("llama", "gptq", {"quantize": "w8a16", "symmetric": False}),
    "awq": ("llama", "awq", {"quantize": "w4a16", "symmetric": False, "method": "awq"}),
    "mindie": ("llama", "mindie", {"quantize": "w8a16", "symmetric": False}),
    "mindie-8": ("llama", "mindie", {"quantize": "w8a8"}),
}
"""Name -> component, dialect, options."""

GOOD = TensorDiff(name="logits", kind=Kind.VALUES, status=Status.PASSED, reason="", tolerance=EXACT, metrics={})


JUDGED = ("compressed", "integers")
"""Those that run beside the reference. Of the others the weights alone are read back, which costs little."""


class Written:
    """One conversion of each case, made when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Any] = {}

    def __call__(self, case: str) -> tuple[Path, Any]:
        if case not in self._made:
            self._made[case] = lwmport.convert(request(case, self._folder / case, validate=case in JUDGED))
        return self._folder / case / f"{CASES[case][0]}.hf", self._made[case]


def request(case: str, out: Path, **changes: Any) -> lwmport.Request:
    component, dialect, options = CASES[case]
    config = CODES if component == "vision-llama" else LLAMA
    given = {"config": config, "dialect": dialect, "options": Options(**options), **changes}
    return lwmport.Request(component=component, format="hf", out=out, **given)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Let no test depend on whether compressed-tensors is installed, but the one that needs it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lwmport.runtime.runners.transformers._is_installed", lambda: False)
        yield Written(tmp_path_factory.mktemp("folders"))


def told(folder: Path, name: str = "config.json") -> Any:
    return json.loads((folder / name).read_text())


def read_back(folder: Path, out: Path) -> Judgement:
    """Return the verdict on the weights of a folder, where nothing else is wrong with it; ``out`` is as it was made."""
    found, name = reopen(out), folder.stem
    validation = verdict(component=name, artifact=folder.name, reference="", runner="", inputs="", diffs=(GOOD,))
    before = Judgement(validation=validation, timings=(), galleries=(), pictures={})
    return judge_weights(before, found.component(name), folder, found.component_weights(name))


@pytest.mark.parametrize("case", CASES)
def test_the_weights_of_every_folder_are_as_promised(case: str, written: Written) -> None:
    path, _ = written(case)
    judgement, count = read_back(path, path.parent), 6 if case == "compressed-8" else 7
    assert judgement.validation.status is Status.PASSED, judgement.validation.reason
    assert f"All {count} quantised matrices, read back from the files, are as promised." in judgement.notes


@pytest.mark.parametrize("case", JUDGED)
def test_a_folder_gets_a_tight_verdict(case: str, written: Written) -> None:
    _, outcome = written(case)
    assert outcome.status is Status.PASSED, outcome.report.sentence
    (section,) = outcome.report.components
    assert section.validation.runner == READ_BACK
    assert f"weights rounded to {CASES[case][2]['quantize']}" in section.validation.reference
    assert any(note.startswith("All 7 quantised matrices") for note in section.notes)
    assert (AGREES in section.notes) == (NOT_ROUNDED in section.notes) == (case == "integers")
    assert sum(note.startswith("Cost of storage, ") for note in section.notes) == len(section.signature.outputs)


@pytest.mark.parametrize("case", ["compressed", "compressed-8", "integers"])
def test_compressed_tensors_itself_reads_the_folder(
    case: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("compressed_tensors")
    path, outcome = written(case)
    monkeypatch.setattr("lwmport.runtime.runners.transformers._is_installed", lambda: True)
    found = reopen(path.parent)
    run = gather(found.component(path.stem), found.component_weights(path.stem), 1)
    (part,) = outcome.manifest.components
    judged = judge(path, part.signature, run, "a8" if case == "integers" else "float32").validation
    assert (judged.status, judged.runner) == (Status.PASSED, "transformers")


def test_what_compressed_tensors_is_told(written: Written) -> None:
    path, _ = written("compressed")
    tensors, config = load_file(path / "model.safetensors"), told(path)["quantization_config"]
    up = "model.layers.0.mlp.up_proj."
    shapes = {name.removeprefix(up): (array.shape, array.dtype.name) for name, array in tensors.items() if up in name}
    assert shapes == {
        "weight_packed": ((96, 8), "int32"),
        "weight_scale": ((96, 2), "float32"),
        "weight_shape": ((2,), "int64"),
        "weight_zero_point": ((12, 2), "int32"),
    }
    assert list(tensors[f"{up}weight_shape"]) == [96, 64]
    assert (config["format"], config["ignore"]) == ("pack-quantized", ["lm_head"])
    weights = config["config_groups"]["group_0"]["weights"]
    assert {key: weights[key] for key in ("num_bits", "symmetric", "strategy", "group_size")} == {
        "num_bits": 4,
        "symmetric": False,
        "strategy": "group",
        "group_size": 32,
    }


def test_what_is_kept_is_ignored_and_has_its_own_dtype(written: Written) -> None:
    path, _ = written("compressed-8")
    tensors = load_file(path / "model.safetensors")
    assert told(path)["quantization_config"]["ignore"] == ["model.layers.0.mlp.down_proj", "lm_head"]
    halves = {name for name, array in tensors.items() if array.dtype == np.float16}
    assert halves == {"model.layers.0.mlp.down_proj.weight", "model.embed_tokens.weight"}
    assert told(path)["torch_dtype"] == "float32"


def test_products_of_integers_have_a_scale_for_each_output(written: Written) -> None:
    path, _ = written("integers")
    tensors, group = (
        load_file(path / "model.safetensors"),
        told(path)["quantization_config"]["config_groups"]["group_0"],
    )
    weight, scale = (tensors[f"model.layers.0.mlp.up_proj.{part}"] for part in ("weight", "weight_scale"))
    assert (weight.dtype, weight.shape, scale.shape) == (np.int8, (96, 64), (96, 1))
    assert (group["weights"]["strategy"], group["input_activations"]["strategy"]) == ("channel", "token")
    assert tensors["lm_head.weight"].shape == (128 + 24, 64)


def test_zero_points_of_gptq_are_one_less_in_version_1_alone(written: Written) -> None:
    first, second = written("gptq")[0], written("gptq-2")[0]
    old, new = (load_file(path / "model.safetensors") for path in (first, second))
    name = "model.layers.0.mlp.up_proj."
    assert told(first)["quantization_config"]["checkpoint_format"] == "gptq"
    assert told(second)["quantization_config"]["checkpoint_format"] == "gptq_v2"
    assert set(old[f"{name}qzeros"].reshape(-1).view(np.uint32)) == {0x77777777}
    assert (old[f"{name}qweight"].shape, old[f"{name}qzeros"].shape) == ((8, 96), (4, 12))
    assert (new[f"{name}qweight"].shape, new[f"{name}qzeros"].shape) == ((16, 96), (2, 24))
    assert (new[f"{name}scales"].dtype, list(new[f"{name}g_idx"][::32])) == (np.float16, [0, 1])


def test_words_of_awq_hold_even_outputs_first(written: Written) -> None:
    path, _ = written("awq")
    tensors, config = load_file(path / "model.safetensors"), told(path)["quantization_config"]
    up = "model.layers.0.mlp.up_proj."
    shapes = {name.removeprefix(up): (array.shape, array.dtype.name) for name, array in tensors.items() if up in name}
    assert shapes == {"qweight": ((64, 12), "int32"), "qzeros": ((2, 12), "int32"), "scales": ((2, 96), "float16")}
    assert config == {
        "bits": 4,
        "group_size": 32,
        "modules_to_not_convert": ["lm_head"],
        "quant_method": "awq",
        "version": "gemm",
        "zero_point": True,
    }
    found = reopen(path.parent)
    zeros = found.component_weights("llama").packed.read("transformer/h/0/feed_forward/w3/kernel/zero_points")  # type: ignore[attr-defined]
    nibbles = [int(tensors[f"{up}qzeros"].view(np.uint32)[0, 0]) >> 4 * place & 15 for place in range(8)]
    assert nibbles == zeros[0, [0, 2, 4, 6, 1, 3, 5, 7]].tolist()


def test_mindie_has_a_description_of_every_tensor(written: Written) -> None:
    path, _ = written("mindie")
    tensors, kinds = (
        load_file(path / "quant_model_weight_w8a16.safetensors"),
        told(path, "quant_model_description.json"),
    )
    assert kinds == told(path, "quant_model_description_w8a16.json")
    assert kinds.pop("model_quant_type") == "W8A16"
    assert set(kinds) == set(tensors)
    assert {name for name, kind in kinds.items() if kind == "FLOAT"} == {
        "lm_head.weight",
        "model.embed_tokens.weight",
        "model.norm.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
    }
    assert {tensors[name].dtype for name, kind in kinds.items() if kind == "FLOAT"} == {np.dtype("float16")}
    offset = tensors["model.layers.0.mlp.up_proj.weight_offset"]
    assert (offset.dtype, offset.shape) == (np.float32, (96, 1))
    assert (told(path)["quantize"], told(path)["torch_dtype"]) == ("w8a16", "float16")


def test_a_product_of_mindie_is_that_of_rounded_numbers(written: Written) -> None:
    path, outcome = written("mindie-8")
    tensors = load_file(path / "quant_model_weight_w8a8.safetensors")
    (component,) = outcome.manifest.components
    levels = component.rounded["transformer/h/0/feed_forward/w3/kernel"].inputs
    own = {name.rpartition(".")[2]: array for name, array in tensors.items() if ".mlp.up_proj." in name}
    assert {own[name].dtype for name in ("input_scale", "input_offset")} == {np.dtype("float16")}
    assert [own[name].dtype for name in ("weight", "quant_bias", "deq_scale")] == ["int8", "int32", "int64"]
    x = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    codes = np.clip(np.rint(x / own["input_scale"]) + own["input_offset"], -128, 127).astype(np.int64)
    found = (codes @ own["weight"].astype(np.int64).T + own["quant_bias"]) * own["deq_scale"].astype(np.uint32).view(
        np.float32
    )
    numbers = (np.clip(np.rint(x / levels.scale) + levels.zero, -128, 127) - levels.zero) * levels.scale
    np.testing.assert_allclose(found, numbers @ (own["weight"] * own["weight_scale"]).T, rtol=1e-5, atol=1e-6)
    assert abs(found - x @ (own["weight"] * own["weight_scale"]).T).max() > 1e-4  # it does round
    kinds = told(path, "quant_model_description.json")
    assert kinds == told(path, "quant_model_description_w8a8.json")
    assert kinds["model.layers.0.mlp.up_proj.deq_scale"] == kinds["model_quant_type"] == "W8A8"
    assert told(path)["quantize"] == "w8a8"


def swapped_halves(tensors: dict[str, Array], name: str) -> None:
    held = tensors[f"{name}.weight_packed"].view(np.uint8)
    tensors[f"{name}.weight_packed"] = (held >> 4 | held << 4).view(np.int32)


def neighbours_scale(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.weight_scale"] = np.roll(tensors[f"{name}.weight_scale"], 1, axis=1)


def one_zero_point_off_by_one(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.weight_zero_point"][0, 0] ^= 1


def shifted_zero_points(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.qzeros"] += np.int32(0x11111111)


def outputs_in_order(tensors: dict[str, Array], name: str) -> None:
    """Neighbours of a word change places, as if it held its outputs one after the other."""
    held = tensors[f"{name}.qweight"].view(np.uint8)
    tensors[f"{name}.qweight"] = np.ascontiguousarray(held[:, ::-1]).view(np.int32)


def offset_of_the_other_sign(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.weight_offset"] *= -1


def one_code(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.weight"][3, 5] ^= 1


FAULTS = [
    ("compressed", swapped_halves),
    ("compressed", neighbours_scale),
    ("compressed", one_zero_point_off_by_one),
    ("gptq", shifted_zero_points),
    ("awq", shifted_zero_points),
    ("awq", outputs_in_order),
    ("mindie", offset_of_the_other_sign),
    ("integers", one_code),
]


@pytest.mark.parametrize(("case", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_fault_fails(
    case: str, fault: Callable[[dict[str, Array], str], None], written: Written, tmp_path: Path
) -> None:
    path, _ = written(case)
    broken = with_fault(path, tmp_path, fault)
    found = read_back(broken, path.parent).validation
    assert found.status is Status.FAILED
    assert "model.layers.0.mlp.up_proj.weight: " in found.reason
    assert "weights are not as promised" in found.reason
    assert found.diffs[-1].name == "model.layers.0.mlp.up_proj.weight"


def with_fault(folder: Path, out: Path, fault: Callable[[dict[str, Array], str], None]) -> Path:
    broken = shutil.copytree(folder, out / folder.name)
    (file,) = broken.glob("*.safetensors")
    tensors = {name: array.copy() for name, array in load_file(file).items()}
    fault(tensors, "model.layers.0.mlp.up_proj")
    save_file(tensors, file, {"format": "pt"})
    return broken


def input_offset_off_by_one(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.input_offset"] += 1


def offset_and_bias_off_together(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.input_offset"] += 1
    tensors[f"{name}.quant_bias"] -= tensors[f"{name}.weight"].sum(axis=1, dtype=np.int32)


def neighbours_factor(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.deq_scale"] = np.roll(tensors[f"{name}.deq_scale"], 1)


def one_bias_off_by_one(tensors: dict[str, Array], name: str) -> None:
    tensors[f"{name}.quant_bias"][5] += 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (input_offset_off_by_one, "expected inputs in steps of"),
        (offset_and_bias_off_together, "expected inputs in steps of"),
        (neighbours_factor, "found other factors"),
        (one_bias_off_by_one, "expected a quant_bias for"),
    ],
)
def test_a_fault_in_what_inputs_are_rounded_to_fails(
    fault: Callable[[dict[str, Array], str], None], reason: str, written: Written, tmp_path: Path
) -> None:
    path, _ = written("mindie-8")
    found = read_back(with_fault(path, tmp_path, fault), path.parent).validation
    assert found.status is Status.FAILED
    assert reason in found.reason
    assert "model.layers.0.mlp.up_proj" in found.reason


def test_a_wrong_group_in_the_configuration_fails(written: Written, tmp_path: Path) -> None:
    path, _ = written("compressed")
    broken = shutil.copytree(path, tmp_path / path.name)
    text = (broken / "config.json").read_text()
    (broken / "config.json").write_text(text.replace('"group_size": 32', '"group_size": 16'))
    found = read_back(broken, path.parent).validation
    assert found.status is Status.FAILED
    assert "4 groups of 16 codes beside 2 scales" in found.reason


REFUSED: list[tuple[str | None, dict[str, Any], str]] = [
    ("gptq", {}, "--quantize w4a16 or w8a16 with the dialect gptq, found --dialect gptq alone"),
    ("awq", {"quantize": "w8a16"}, r"\(awq takes w4a16\)"),
    ("mindie", {"quantize": "w4a16"}, r"\(mindie takes w8a16, w8a8\)"),
    ("mindie", {"quantize": "w8a8", "method": "hqq"}, "--method rtn or mse of a kind with positive scales"),
    ("mindie", {"quantize": "w8a16", "group_size": 32}, "which has a scale for each output"),
    (
        "mindie",
        {"quantize": "w8a16", "keep": ("*/w2/*=float32",)},
        r"expected --keep \*/w2/\*=float16, as mindie reads",
    ),
    (None, {"quantize": "w8a8", "symmetric": False}, "--asymmetric of a kind with zero points"),
    (None, {"quantize": "w4a8"}, r"\(hf takes w4a16, w8a16, w8a8\)"),
    (
        None,
        {"quantize": "w4a16", "group_size": 64},
        "divides the 96 inputs of .*w2/kernel, found 64; .*: 16, 32",
    ),
]


@pytest.mark.parametrize(("dialect", "options", "message"), REFUSED)
def test_what_no_reader_takes_is_refused(
    dialect: str | None, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    asked = request("compressed", tmp_path / "out", dialect=dialect, options=Options(**options))
    with pytest.raises(UsageError, match=message):
        lwmport.convert(asked)
    assert not (tmp_path / "out").exists()


def test_what_is_kept_needs_no_whole_groups(tmp_path: Path) -> None:
    options = Options(quantize="w4a16", group_size=64, keep=("*/w2/kernel=float32",))
    lwmport.convert(request("compressed", tmp_path, options=options, validate=False))
    assert told(tmp_path / "llama.hf")["quantization_config"]["ignore"] == ["model.layers.0.mlp.down_proj", "lm_head"]


def test_joined_tensors_are_of_one_dtype(tmp_path: Path) -> None:
    options = Options(quantize="w8a16", keep=("transformer/wte/*=float16",))
    with pytest.raises(lwmport.PortError, match="transformer/vte/embedding in one dtype"):
        lwmport.convert(request("integers", tmp_path / "out", options=options, validate=False))


def test_the_same_bytes_again(written: Written, tmp_path: Path) -> None:
    _, outcome = written("compressed")
    again = lwmport.convert(request("compressed", tmp_path / "out", validate=False))
    assert again.manifest.components == outcome.manifest.components
