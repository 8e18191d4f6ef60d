"""The programs of docs/readers.md. Each opens a model, runs it where it can, and raises where it refuses.

A reader that writes a model of its own is held against ONNX Runtime on ours.
"""

import json
import os
import runpy
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array

CLOSE, HALF = 2e-3, 2e-2
"""Largest difference where no reader stores weights in fewer bits, and that of a model in float16."""

COMPASS = "LWMPORT_COMPASS_PYTHON"
"""The variable that names a Python with Compass's parser."""

TOOLS = Path(__file__).parents[2] / "tools"


@dataclass(frozen=True)
class Sample:
    """A model in a folder of its own, where readers write what they make of it, and inputs for it."""

    path: Path
    inputs: Mapping[str, Array]

    @property
    def scratch(self) -> Path:
        return self.path.parent

    def expected(self) -> Mapping[str, Array]:
        """Return what ONNX Runtime makes of our own file."""
        return OnnxRuntimeRunner(self.path, threads=1).run(self.inputs)


@dataclass(frozen=True)
class Reader:
    """A program, the package whose version counts, and what it does with a model."""

    package: str
    read: Callable[[Sample], None]

    def missing(self) -> str:
        """Return why it cannot be tried here, or nothing."""
        if self.package == COMPASS:
            return "" if os.environ.get(COMPASS) else f"{COMPASS} names no Python with Compass's parser"
        try:
            version(self.package)
        except PackageNotFoundError:
            return f"{self.package} is not installed"
        return ""


def agree(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    most = HALF if any(value.dtype == np.float16 for value in expected.values()) else CLOSE
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        if value.dtype.kind == "f":
            off = np.abs(found[name].astype(np.float64) - value.astype(np.float64)).max(initial=0)
            assert off <= most, f"{name} is off by {off}"
        else:
            np.testing.assert_array_equal(found[name], value)


def runs(found: Mapping[str, Array]) -> None:
    """Hold what weights of 4 or 8 bits make to no value: a small random model is not what they are for."""
    assert found
    assert all(np.isfinite(value).all() for value in found.values())


def session(model: Path, threads: int = 1, level: str = "ENABLE_ALL", saved: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
    if saved:
        options.optimized_model_filepath = str(saved)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def outputs(opened: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    names = [item.name for item in opened.get_outputs()]
    return dict(zip(names, opened.run(names, dict(inputs)), strict=True))


LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_LAYOUT", "ENABLE_ALL")


def onnx_runtime(sample: Sample) -> None:
    first = outputs(session(sample.path, 1, LEVELS[0]), sample.inputs)
    for level in LEVELS:
        for threads in (1, 2):
            agree(outputs(session(sample.path, threads, level), sample.inputs), first)


def onnx_runtime_saved(sample: Sample) -> None:
    for level in LEVELS[1:3]:
        saved = sample.scratch / f"{level}.onnx"
        session(sample.path, level=level, saved=saved)
        agree(outputs(session(saved), sample.inputs), sample.expected())


def openvino(sample: Sample) -> None:
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    found = OpenVinoRunner(sample.path, threads=1).run(sample.inputs)
    if sample.path.suffix == ".onnx":
        agree(found, sample.expected())
    runs(found)


def onnxsim(sample: Sample) -> None:
    import onnxsim

    simplified, checked = onnxsim.simplify(onnx.load(sample.path), check_n=0)
    assert checked
    written = sample.scratch / "simplified.onnx"
    onnx.save(simplified, written)
    agree(outputs(session(written), sample.inputs), sample.expected())


def quant_pre_process(*, skip: bool) -> Callable[[Sample], None]:
    def read(sample: Sample) -> None:
        from onnxruntime.quantization.shape_inference import quant_pre_process as prepare

        written = sample.scratch / "prepared.onnx"
        prepare(str(sample.path), str(written), skip_symbolic_shape=skip, skip_optimization=skip)
        agree(outputs(session(written), sample.inputs), sample.expected())

    return read


def dynamic_quantiser(sample: Sample) -> None:
    from onnxruntime.quantization import quantize_dynamic

    written = sample.scratch / "quantised.onnx"
    quantize_dynamic(str(sample.path), str(written))
    runs(outputs(session(written), sample.inputs))


def four_bit_quantiser(sample: Sample) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantiser = MatMulNBitsQuantizer(onnx.load(sample.path), block_size=32, is_symmetric=True)
    quantiser.process()
    written = sample.scratch / "quantised.onnx"
    onnx.save(quantiser.model.model, written)
    runs(outputs(session(written), sample.inputs))


def shape_inference(sample: Sample) -> None:
    onnx.checker.check_model(str(sample.path), full_check=True)
    model = onnx.shape_inference.infer_shapes(onnx.load(sample.path), strict_mode=True, data_prop=True)
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    unknown = [name for node in model.graph.node for name in node.output if name and name not in known]
    assert not unknown, f"no shape of {unknown[:3]}"


def genai(sample: Sample) -> None:
    import onnxruntime_genai as generator

    folder = _language_folder(sample)
    model = generator.Model(str(folder))
    given = generator.GeneratorParams(model)
    prompt = sample.inputs["input_ids"][:1]
    given.set_search_options(max_length=prompt.shape[1] + 4, do_sample=False)
    made = generator.Generator(model, given)
    made.append_tokens(prompt.astype(np.int32))
    while not made.is_done():
        made.generate_next_token()
    assert list(made.get_sequence(0)) == _greedy(sample, prompt, 4)


def optimum(sample: Sample) -> None:
    import torch
    from optimum.onnxruntime import ORTModelForCausalLM

    model = ORTModelForCausalLM.from_pretrained(_language_folder(sample), file_name=sample.path.name)
    prompt = sample.inputs["input_ids"][:1]
    mask = torch.ones(prompt.shape, dtype=torch.int64)
    found = model.generate(torch.from_numpy(prompt), attention_mask=mask, max_new_tokens=4, do_sample=False)
    assert found[0].tolist() == _greedy(sample, prompt, 4)


def _greedy(sample: Sample, prompt: Array, count: int) -> list[int]:
    """Return a prompt and what ONNX Runtime says behind it, the whole text anew for each token."""
    runner = OnnxRuntimeRunner(sample.path, threads=1)
    tokens = prompt
    for _ in range(count):
        size = tokens.shape[1]
        empty = {
            spec.name: np.zeros((1, int(spec.shape[1]), 0, int(spec.shape[3])), np.float32)
            for spec in runner.inputs
            if spec.name.startswith("past")
        }
        given = {"attention_mask": np.ones((1, size), np.int64), "position_ids": np.arange(size)[None]}
        last = runner.run({"input_ids": tokens, **given, **empty})["logits"][:, -1:]
        tokens = np.concatenate([tokens, last.argmax(-1)], axis=1)
    return [int(token) for token in tokens[0]]


def _language_folder(sample: Sample) -> Path:
    """Return a folder with a model and the two configurations by which generators know it."""
    runner = OnnxRuntimeRunner(sample.path, threads=1)
    specs = {spec.name: spec.shape for spec in runner.inputs}
    layers = sum(name.endswith(".key") for name in specs)
    _, heads, _, size = (size if isinstance(size, int) else 0 for size in specs["past_key_values.0.key"])
    vocabulary = next(spec for spec in runner.outputs if spec.name == "logits").shape[-1]
    names = {"past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"}
    inputs = {"input_ids": "input_ids", "attention_mask": "attention_mask", "position_ids": "position_ids", **names}
    present = {"present_key_names": "present.%d.key", "present_value_names": "present.%d.value"}
    decoder: dict[str, Any] = {
        "session_options": {"provider_options": []}, "filename": sample.path.name, "head_size": size,
        "hidden_size": heads * size, "inputs": inputs, "outputs": {"logits": "logits", **present},
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": heads,
    }  # fmt: skip
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "vocab_size": vocabulary}
    model = {"type": "llama", "context_length": 64, "decoder": decoder, **tokens}
    search = {"max_length": 64, "past_present_share_buffer": False}
    (sample.scratch / "genai_config.json").write_text(json.dumps({"model": model, "search": search}), encoding="utf-8")
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": heads * size,
        "num_attention_heads": heads, "num_hidden_layers": layers, "num_key_value_heads": heads, **tokens,
    }  # fmt: skip
    (sample.scratch / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return sample.scratch


def compass(sample: Sample) -> None:
    config = runpy.run_path(str(TOOLS / "onnx_suite_counts.py"))["compass_config"](sample.path)
    shapes = ",".join(str(list(value.shape)).replace(" ", "") for value in sample.inputs.values())
    config |= {"input": ",".join(sample.inputs), "input_shape": shapes}
    if sample.path.suffix != ".onnx":
        config["model_type"] = {".tflite": "tflite", ".pb": "tensorflow"}[sample.path.suffix]
    done = subprocess.run(
        [os.environ[COMPASS], str(TOOLS / "onnx_suite_compass.py")],
        input=json.dumps(config), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["takes"], "; ".join([*answer["errors"], *answer["guesses"], f"{answer['lost']} inputs lost"])


def _by(runner: str) -> Callable[[Sample], None]:
    def read(sample: Sample) -> None:
        from lwmport.runtime.isolated import run_all

        # A process of its own: TensorFlow settles its threads once in a process.
        (found,) = run_all(sample.path, [sample.inputs], runner=runner).outputs
        if isinstance(found, Exception):
            raise found
        runs(found)

    return read


READERS: dict[str, Reader] = {
    "ONNX Runtime, every level, 1 and 2 threads": Reader("onnxruntime", onnx_runtime),
    "ONNX Runtime, saved optimised": Reader("onnxruntime", onnx_runtime_saved),
    "OpenVINO": Reader("openvino", openvino),
    "onnxsim": Reader("onnxsim", onnxsim),
    "`quant_pre_process`": Reader("onnxruntime", quant_pre_process(skip=False)),
    "`quant_pre_process`, two steps skipped": Reader("onnxruntime", quant_pre_process(skip=True)),
    "dynamic quantiser": Reader("onnxruntime", dynamic_quantiser),
    "MatMulNBits quantiser": Reader("onnxruntime", four_bit_quantiser),
    "onnx's checker and shape inference": Reader("onnx", shape_inference),
    "onnxruntime-genai": Reader("onnxruntime-genai", genai),
    "optimum": Reader("optimum-onnx", optimum),
    "Compass's parser": Reader(COMPASS, compass),
    "LiteRT": Reader("ai-edge-litert", _by("litert")),
    "TensorFlow": Reader("tensorflow-cpu", _by("tensorflow")),
    "transformers": Reader("transformers", _by("transformers")),
}
