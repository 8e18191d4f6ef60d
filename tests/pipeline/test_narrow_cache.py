"""A cache in float16 or in codes of 8 bits: the tight verdict, what it must fail, and sessions beside the reference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lwmport
from lwmport import manifest
from lwmport.errors import ArtifactError, UnusedOptionError
from lwmport.models.options import Options
from lwmport.models.storage import judged_in
from lwmport.pipeline.assemble.genai import check_taken
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.reopen import Converted, reopen
from lwmport.pipeline.validate.cache_cost import cache_notes
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.pipeline.validate.rounded_cache import judge_cache
from lwmport.types import Array, Status, Validation

CONFIG = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
NARROW = ("float16", "int8")
BATCH, TOKENS, PADDING, NEW = 2, 10, 3, 6
CHANNELS = 2 * 2 * 2 * 8
"""Layers, keys and values, heads of keys, channels of a head."""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Converted]:
    """Return ``converted(cache)``: the model at any length, converted once for all tests."""
    made: dict[str, Converted] = {}

    def convert(cache: str) -> Converted:
        if cache not in made:
            out = tmp_path_factory.mktemp("narrow") / "out"
            lwmport.convert(
                ConvertRequest(
                    component="llama",
                    format="onnx",
                    out=out,
                    config=CONFIG,
                    batch="dynamic",
                    validate=False,
                    options=Options(cache=cache),
                )
            )
            made[cache] = reopen(out)
        return made[cache]

    return convert


@pytest.fixture(scope="module")
def evidence(converted: Callable[[str], Converted]) -> Callable[[str], ReferenceRun]:
    """Return ``evidence(cache)``: the reference in every case."""
    made: dict[str, ReferenceRun] = {}

    def run(cache: str) -> ReferenceRun:
        if cache not in made:
            found = converted(cache)
            made[cache] = gather(found.component("llama"), found.component_weights("llama"), BATCH)
        return made[cache]

    return run


def judged(found: Converted, run: ReferenceRun, path: Path | None = None) -> Validation:
    (part,) = found.parts
    precision = judged_in(found.family.options)
    judgement = judge(path or found.path(part), part.signature, run, precision)
    return judge_cache(judgement, part.signature, run, precision).validation


@pytest.mark.parametrize("cache", NARROW)
def test_every_case_passes_and_the_cost_is_told(
    cache: str, converted: Callable[[str], Converted], evidence: Callable[[str], ReferenceRun]
) -> None:
    found = converted(cache)
    verdict = judged(found, evidence(cache))
    assert verdict.status is Status.PASSED, verdict.reason
    assert all(spec.dtype == cache for spec in found.parts[0].signature.inputs if spec.name.startswith("past"))
    size, cost = cache_notes(found.component_weights("llama"), evidence(cache))
    own, wide = (CHANNELS * np.dtype(dtype).itemsize for dtype in (cache, "float32"))
    assert f"{own} bytes in {cache} for each token" in size
    assert f"in float32 {wide} bytes" in size
    assert "positions" in cost


def spoil_rounding(model: onnx.ModelProto) -> None:
    """Attend to new tokens as they are: the cast to float16 and back is left out."""
    for graph in graphs(model.graph):
        halves = {node.output[0]: node.input[0] for node in graph.node if casts_to(node, onnx.TensorProto.FLOAT16)}
        for node in graph.node:
            if casts_to(node, onnx.TensorProto.FLOAT) and node.input[0] in halves:
                node.op_type = "Identity"
                node.input[0] = halves[node.input[0]]
                del node.attribute[:]


def spoil_scales(model: onnx.ModelProto) -> None:
    """Take steps that are a fiftieth too long."""
    scales = {name for graph in graphs(model.graph) for node in graph.node for name in node.input[12:14]}
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in scales]
    assert tensors
    for tensor in tensors:
        tensor.CopyFrom(numpy_helper.from_array(np.float32(1.02) * numpy_helper.to_array(tensor), tensor.name))


def graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    inner = [one.g for node in graph.node for one in node.attribute if one.type == onnx.AttributeProto.GRAPH]
    return [graph, *(each for one in inner for each in graphs(one))]


def casts_to(node: onnx.NodeProto, dtype: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == dtype


@pytest.mark.parametrize(("cache", "spoil"), [("float16", spoil_rounding), ("int8", spoil_scales)])
def test_a_cache_that_is_rounded_otherwise_fails(
    cache: str,
    spoil: Callable[[onnx.ModelProto], None],
    converted: Callable[[str], Converted],
    evidence: Callable[[str], ReferenceRun],
    tmp_path: Path,
) -> None:
    found = converted(cache)
    model = onnx.load(found.path(found.parts[0]))
    spoil(model)
    onnx.save(model, tmp_path / "llama.onnx")
    verdict = judged(found, evidence(cache), tmp_path / "llama.onnx")
    assert verdict.status is Status.FAILED, verdict.reason


def greedy(session: Any, prompts: Array, mask: Array | None = None, chunk: int | None = None) -> tuple[Array, Array]:
    """Return the tokens [batch, new] that a session chooses, and the logits that it chose them by."""
    found, tokens, logits = session.prefill(prompts, mask, chunk=chunk)["logits"], [], []
    for _ in range(NEW):
        tokens.append(found.argmax(axis=-1))
        logits.append(found)
        found = session.step(tokens[-1])["logits"]
    return np.concatenate(tokens, axis=1), np.concatenate(logits, axis=1)


@pytest.mark.parametrize("cache", NARROW)
def test_a_session_generates_what_the_reference_generates(cache: str, converted: Callable[[str], Converted]) -> None:
    folder = converted(cache).folder
    prompts = np.random.default_rng(1).integers(0, 48, (BATCH, TOKENS))
    mask = np.ones_like(prompts)
    mask[1, :PADDING] = 0
    with lwmport.Session(folder) as session, lwmport.Session(folder, runner="jax") as wanted:
        tokens, logits = greedy(session, prompts, mask)
        expected, others = greedy(wanted, prompts, mask)
        assert tokens.tolist() == expected.tolist()
        np.testing.assert_allclose(logits, others, atol=1e-3)
        whole = greedy(session, prompts[:1])[1]
        np.testing.assert_allclose(greedy(session, prompts[:1], chunk=4)[1], whole, atol=1e-6)
        session.prefill(prompts[:1])
        fork = session.fork()
        first = session.step(prompts[:1, :3])["logits"]
        np.testing.assert_array_equal(fork.step(prompts[:1, :3])["logits"], first)
        session.truncate(TOKENS)
        np.testing.assert_array_equal(session.step(prompts[:1, :3])["logits"], first)
        room = session._held.room
        taken = sum(array.nbytes for array in room.arrays.values())
        assert taken == room.slots * CHANNELS * np.dtype(cache).itemsize


def test_a_dialect_whose_readers_take_no_narrow_cache_refuses_it(tmp_path: Path) -> None:
    request = ConvertRequest(
        component="llama", format="saved_model", out=tmp_path, config=CONFIG, options=Options(cache="int8")
    )
    with pytest.raises(UnusedOptionError, match=r"--cache int8 in a dialect out of ort, cpu, .*takes float32\)"):
        lwmport.convert(request)


def test_onnxruntime_genai_is_given_no_narrow_cache(converted: Callable[[str], Converted]) -> None:
    with pytest.raises(ArtifactError, match="expected a cache in float32 for genai, found int8; convert again without"):
        check_taken(converted("int8").manifest)


def test_a_narrow_cache_is_that_of_a_model_in_float32() -> None:
    with pytest.raises(UnusedOptionError, match="expected --precision float32 with --cache int8, found --precision"):
        Options(cache="int8", precision="float16")


@pytest.mark.parametrize("text", ["AAAA", "?", "AAAA" * 21 + "AA=="])
def test_damaged_scales_are_told_in_one_line(text: str, converted: Callable[[str], Converted]) -> None:
    found = converted("int8")
    (part,) = found.parts
    details = {**part.details, manifest.SCALES: {"past_key_values.0.key": text}}
    damaged = replace(found.manifest, components=(replace(part, details=details),))
    with pytest.raises(ArtifactError, match=r"llama: past_key_values.0.key: expected .*scale"):
        _ = replace(found, manifest=damaged).family
