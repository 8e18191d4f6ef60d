"""A session of every format against the JAX model run whole: with padding, in chunks, forked, and sabotaged."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport import manifest
from lwmport.checkpoints.model_weights import component_weights, seeded_specs
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import ArtifactError, CheckpointError, RunnerError, UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.specs import tolerances_of
from lwmport.runtime.runners import litert_compiled
from lwmport.runtime.session.litert_interpreter import InterpreterBackend
from lwmport.targets.compile.record import name_of, text
from lwmport.types import Array, Compilation, Kind, Status, TensorSpec
from lwmport.validators.outputs import compare_outputs

CONFIG = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
BATCH, TOKENS, PADDING = 2, 14, 3
CASES = {
    "any length, ONNX Runtime": ("onnx", "ort", "float32"),
    "any length, OpenVINO": ("onnx", "openvino", "float32"),
    "a pair, ONNX Runtime": ("onnx", "migraphx", "float32"),
    "a pair in float16": ("onnx", "migraphx", "float16"),
    "a pair, LiteRT": ("tflite", "litert", "float32"),
    "a pair of any batch, LiteRT": ("tflite", "litert", "float32"),
}
ANY = ("ort", "openvino")
RUNNERS = {"any length, OpenVINO": "openvino"}
"""Case -> the runner, where the usual one is not the one that is asked."""

LOGITS = TensorSpec(name="logits", shape=("batch", "tokens", 48), dtype="float32", kind=Kind.VALUES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return ``folder(case)`` with the debug model, converted once for all tests: 6 tokens, then a cache of 20."""
    made: dict[str, Path] = {}

    def convert(case: str) -> Path:
        if case not in made:
            form, dialect, precision = CASES[case]
            if form == "tflite":
                pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
            made[case] = tmp_path_factory.mktemp("session") / "out"
            static = {} if dialect in ANY else {"sequence": 6, "max_length": 20}
            lwmport.convert(
                lwmport.ConvertRequest(
                    component="llama",
                    format=form,
                    dialect=dialect,
                    out=made[case],
                    config=CONFIG,
                    batch="dynamic" if dialect in ANY or "any batch" in case else BATCH,
                    validate=False,
                    options=Options(precision=precision, **static),
                )
            )
        return made[case]

    return convert


@pytest.fixture(scope="module")
def tokens() -> Array:
    return np.random.default_rng(3).integers(0, 48, (BATCH, TOKENS))


@pytest.fixture(scope="module")
def mask() -> Array:
    found = np.ones((BATCH, TOKENS), np.int64)
    found[1, :PADDING] = 0
    return found


@pytest.fixture(scope="module")
def whole(jax_outputs: Callable[..., dict[str, Array]], tokens: Array, mask: Array) -> Array:
    """Return JAX's logits of all tokens in one run."""
    family = resolve("llama", CONFIG)
    (component,) = family.references
    weights = component_weights(family, component, SeededWeights(seeded_specs(family), 0))
    none = np.zeros((BATCH, 4, 0, 8), np.float32)
    given = {
        "input_ids": tokens,
        "attention_mask": mask,
        "position_ids": np.maximum(np.cumsum(mask, axis=1) - 1, 0),
        **{state.input: none for state in component.signature.states},
    }
    return jax_outputs(component, weights, given)["logits"]


def status(found: Array, wanted: Array, mask: Array, case: str) -> Status:
    """Return the verdict on logits [batch, n, vocabulary] by the tolerance of the case's precision."""
    real = mask[..., None] != 0
    sides = ({"logits": np.where(real, side, 0)} for side in (wanted, found))
    (diff,) = compare_outputs(tolerances_of("llama"), (LOGITS,), *sides, precision=CASES[case][2])
    return diff.status


def stepped(session: Any, tokens: Array, mask: Array, start: int, **options: Any) -> Array:
    """Return the logits of a prefill of ``start`` tokens and of single tokens behind it."""
    parts = [session.prefill(tokens[:, :start], mask[:, :start], keep=None, **options)["logits"]]
    parts += [session.step(tokens[:, place : place + 1])["logits"] for place in range(start, tokens.shape[1])]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [5, 9], ids=["a prefill not filled", "a prefill of several runs"])
def test_a_prefill_and_steps_are_the_whole_run(
    case: str, start: int, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    found = stepped(session, tokens, mask, start)
    assert status(found, whole, mask, case) is Status.PASSED
    assert (session.batch, session.length) == (BATCH, TOKENS)
    assert session.limit is not None
    assert session.limit >= TOKENS


@pytest.mark.parametrize("case", CASES)
def test_a_prefill_in_chunks_is_the_whole_run(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    last = session.prefill(tokens, mask, chunk=4)["logits"]
    assert last.shape == (BATCH, 1, 48)
    assert status(last, whole[:, -1:], mask[:, -1:], case) is Status.PASSED
    every = session.prefill(tokens, mask, chunk=4, keep=None)["logits"]
    assert status(every, whole, mask, case) is Status.PASSED


def test_a_prefill_is_ended_between_two_chunks(folder: Callable[[str], Path], tokens: Array, mask: Array) -> None:
    session = lwmport.Session(folder(next(iter(CASES))))
    runs: list[int] = []

    def watch() -> None:
        runs.append(session.length)
        if len(runs) == 3:
            raise InterruptedError

    session.watch = watch
    with pytest.raises(InterruptedError):
        session.prefill(tokens, mask, chunk=2)
    assert runs == [0, 2, 4]


@pytest.mark.parametrize("case", CASES)
def test_a_fork_goes_on_by_itself(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    session.prefill(tokens[:, :8], mask[:, :8])
    fork = session.fork()
    wrong = (tokens + 1) % 48
    parts = []
    for place in range(8, TOKENS):  # in turns, so that each would spoil the other's cache
        other = fork.step(wrong[:, place : place + 1])["logits"]
        parts.append(session.step(tokens[:, place : place + 1])["logits"])
    assert status(np.concatenate(parts, axis=1), whole[:, 8:], mask[:, 8:], case) is Status.PASSED
    assert status(other, whole[:, -1:], mask[:, -1:], case) is Status.FAILED
    assert fork.length == session.length


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("padding", [0, PADDING], ids=["no padding", "padding"])
def test_tokens_that_are_dropped_leave_no_trace(
    case: str, padding: int, folder: Callable[[str], Path], tokens: Array, mask: Array
) -> None:
    rows = slice(1) if padding == 0 and "any length" in case else slice(None)
    mask = mask if padding else np.ones_like(mask)
    tokens, mask = tokens[rows], mask[rows]
    session, wanted = (lwmport.Session(folder(case), runner=RUNNERS.get(case)) for _ in range(2))
    every = stepped(wanted, tokens, mask, 5)
    session.prefill(tokens[:, :9], mask[:, :9])
    fork = session.fork()
    for place in range(9, 12):
        session.step((tokens[:, place : place + 1] + 1) % 48)
    session.truncate(7)
    fork.truncate(8)
    assert (session.length, fork.length) == (7, 8)
    found = [session.step(tokens[:, place : place + 1])["logits"] for place in range(7, TOKENS)]
    other = [fork.step(tokens[:, place : place + 1])["logits"] for place in range(8, TOKENS)]
    np.testing.assert_allclose(np.concatenate(found, axis=1), every[:, 7:], atol=2e-2 if "16" in case else 1e-4)
    np.testing.assert_allclose(np.concatenate(other, axis=1), every[:, 8:], atol=2e-2 if "16" in case else 1e-4)


def test_tokens_that_are_not_held_cannot_be_kept(folder: Callable[[str], Path], tokens: Array, mask: Array) -> None:
    session = lwmport.Session(folder(next(iter(CASES))))
    session.prefill(tokens, mask)
    for length in (PADDING, TOKENS + 1):
        with pytest.raises(UsageError, match=rf"expected a length from {PADDING + 1} to {TOKENS}, .* found {length}"):
            session.truncate(length)


def test_new_tokens_are_written_behind_those_that_are_held(folder: Callable[[str], Path], tokens: Array) -> None:
    session = lwmport.Session(folder(next(iter(CASES))))
    session.prefill(tokens[:1, :5])
    room = session._held.room
    for place in range(5, 9):
        session.step(tokens[:1, place : place + 1])
    assert session._held.room is room
    assert room.slots > 9
    fork = session.fork()
    fork.step(tokens[:1, 9:10])
    assert fork._held.room is room
    session.step(tokens[:1, 9:10])
    assert session._held.room is not room


@pytest.mark.parametrize("case", ["any length, ONNX Runtime", "any length, OpenVINO", "a pair of any batch, LiteRT"])
def test_each_prefill_may_have_another_batch(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    assert status(stepped(session, tokens[:1], mask[:1], 5), whole[:1], mask[:1], case) is Status.PASSED
    session.prefill(tokens[:, :8], mask[:, :8])
    fork = session.fork()
    session.prefill(tokens[:1, :8])
    parts = []
    for place in range(8, TOKENS):  # in turns: two sequences here, one there
        parts.append(fork.step(tokens[:, place : place + 1])["logits"])
        alone = session.step(tokens[:1, place : place + 1])["logits"]
    assert status(np.concatenate(parts, axis=1), whole[:, 8:], mask[:, 8:], case) is Status.PASSED
    assert status(alone, whole[:1, -1:], mask[:1, -1:], case) is Status.PASSED


def test_litert_reads_the_very_buffers_that_it_wrote(
    folder: Callable[[str], Path], tokens: Array, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    session = lwmport.Session(folder("a pair, LiteRT"))
    session.prefill(tokens[:, :6])
    session.step(tokens[:, 6:7])
    held, touched = [session._held.states], []
    buffers = session._backend._models["decode"].runner._buffers
    for call in ("read", "write"):
        own = getattr(buffers, call)
        monkeypatch.setattr(buffers, call, lambda it, *rest, own=own: touched.append(it) or own(it, *rest))
    for place in range(7, 11):
        session.step(tokens[:, place : place + 1])
        held.append(session._held.states)
    assert [states is held[place % 2] for place, states in enumerate(held)] == [True] * 5
    states = [id(buffer) for found in held[:2] for buffer in found.values()]
    assert len(set(states)) == 2 * 2 * CONFIG["num_hidden_layers"]
    assert touched
    assert not {id(buffer) for buffer in touched} & set(states)
    assert capfd.readouterr().err == ""


def test_litert_writes_no_state_beyond_its_buffer(folder: Callable[[str], Path], tokens: Array) -> None:
    with lwmport.Session(folder("a pair, LiteRT")) as session:
        session.prefill(tokens[:, :3])
        runner = session._backend._models["decode"].runner
        session._backend._spare = replace(session._held, states={**session._held.states})
        session._backend._spare.states["past_key_values.0.key"] = runner.buffer("input_ids")
        with pytest.raises(RunnerError, match=r"expected a state of float32 \(2, 4, 20, 8\) .* found int64 \(2, 1\)"):
            session.step(tokens[:, 3:4])


def test_litert_without_compiled_models_keeps_the_states_in_its_interpreter(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tokens: Array, mask: Array, whole: Array
) -> None:
    opened, refused = litert_compiled.CompiledRunner.__init__, ["llama-decode.tflite", "llama-prefill.tflite"]

    def refuse(runner: Any, path: Path, *rest: Any) -> None:
        if path.name in refused:
            raise RunnerError("refused")
        opened(runner, path, *rest)

    monkeypatch.setattr(litert_compiled.CompiledRunner, "__init__", refuse)
    test_a_fork_goes_on_by_itself("a pair, LiteRT", folder, tokens, mask, whole)
    test_each_prefill_may_have_another_batch("a pair of any batch, LiteRT", folder, tokens, mask, whole)
    del refused[1]  # one of a pair
    session = lwmport.Session(folder("a pair, LiteRT"))
    assert isinstance(session._backend, InterpreterBackend)
    assert status(stepped(session, tokens, mask, 5), whole, mask, "a pair, LiteRT") is Status.PASSED


@pytest.mark.parametrize(
    ("case", "runner"),
    [
        ("any length, ONNX Runtime", None),
        ("any length, ONNX Runtime", "jax"),
        ("a pair, LiteRT", None),
    ],
)
def test_a_with_block_closes_the_model_of_all_forks(
    case: str, runner: str | None, folder: Callable[[str], Path], tokens: Array
) -> None:
    with lwmport.Session(folder(case), runner=runner) as session:
        session.prefill(tokens[:, :3])
        fork = session.fork()
        fork.step(tokens[:, 3:4])
    calls: list[Callable[[], Any]] = [
        lambda: session.prefill(tokens[:, :3]),
        lambda: session.step(tokens[:, :1]),
        lambda: fork.step(tokens[:, :1]),
        fork.fork,
    ]
    for call in calls:
        with pytest.raises(RunnerError, match="found a closed one; open the session again"):
            call()
    assert (session.batch, session.length) == (0, 0)
    fork.close()


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_left_of_an_earlier_prompt(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    session.prefill(tokens[:, ::-1])
    session.reset()
    assert (session.batch, session.length) == (0, 0)
    with pytest.raises(UsageError, match="expected a prefill before the first step"):
        session.step(tokens[:, :1])
    found = stepped(session, tokens[:, :8], mask[:, :8], 5)
    assert status(found, whole[:, :8], mask[:, :8], case) is Status.PASSED


@pytest.mark.parametrize("case", ["any length, ONNX Runtime", "any length, OpenVINO"])
def test_a_run_that_is_ended_leaves_no_trace(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = lwmport.Session(folder(case), runner=RUNNERS.get(case))
    session.prefill(tokens[:, :8], mask[:, :8])
    backend = session._backend
    run = backend.run

    def ended(*given: Any) -> Any:
        run(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "run", ended)
    with pytest.raises(KeyboardInterrupt):
        session.step((tokens[:, 8:9] + 1) % 48)
    monkeypatch.undo()
    assert session.length == 8
    found = [session.step(tokens[:, place : place + 1])["logits"] for place in range(8, TOKENS)]
    assert status(np.concatenate(found, axis=1), whole[:, 8:], mask[:, 8:], case) is Status.PASSED


def test_another_batch_than_the_model_has_names_what_to_do(folder: Callable[[str], Path], tokens: Array) -> None:
    with lwmport.Session(folder("a pair, ONNX Runtime")) as session:
        told = r"expected a batch of 2, .* found 1; convert it with --batch 1 or --batch dynamic"
        with pytest.raises(UsageError, match=told):
            session.prefill(tokens[:1])


@pytest.mark.parametrize("case", ["any length, ONNX Runtime", "a pair, LiteRT"])
def test_states_that_are_mixed_up_are_seen(
    case: str, folder: Callable[[str], Path], tmp_path: Path, tokens: Array, mask: Array, whole: Array
) -> None:
    for file in folder(case).iterdir():
        (tmp_path / file.name).symlink_to(file)
    changed = json.loads((tmp_path / manifest.NAME).read_text(encoding="utf-8"))
    for part in changed["components"]:
        first, second, *_ = part["signature"]["states"]
        first["input"], second["input"] = second["input"], first["input"]
    (tmp_path / manifest.NAME).unlink()
    (tmp_path / manifest.NAME).write_text(json.dumps(changed), encoding="utf-8")
    found = stepped(lwmport.Session(tmp_path), tokens, mask, 5)
    assert status(found[:, :5], whole[:, :5], mask[:, :5], case) is Status.PASSED
    assert status(found, whole, mask, case) is Status.FAILED


@pytest.mark.parametrize("case", ["any length, ONNX Runtime", "a pair, ONNX Runtime"])
def test_the_reference_is_the_whole_run(
    case: str, folder: Callable[[str], Path], tokens: Array, mask: Array, whole: Array
) -> None:
    session = lwmport.Session(folder(case), runner="jax")
    session.prefill(tokens[:, :6], mask[:, :6])
    fork = session.fork()
    parts = []
    for place in range(6, 9):
        fork.step((tokens[:, place : place + 1] + 1) % 48)
        parts.append(session.step(tokens[:, place : place + 1])["logits"])
    assert session.runner == "JAX"
    assert status(np.concatenate(parts, axis=1), whole[:, 6:9], mask[:, 6:9], case) is Status.PASSED


def test_a_manifest_from_before_says_to_convert_again(folder: Callable[[str], Path], tmp_path: Path) -> None:
    old = json.loads((folder("any length, ONNX Runtime") / manifest.NAME).read_text(encoding="utf-8"))
    del old["phases"]
    for part in old["components"]:
        del part["signature"]["states"]
    (tmp_path / manifest.NAME).write_text(json.dumps(old), encoding="utf-8")
    assert manifest.read(tmp_path).phases == {}
    with pytest.raises(ArtifactError, match=r"expected a language model with its phases .* convert .* again"):
        lwmport.Session(tmp_path)


def test_the_example_of_the_document_runs(
    folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "session.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "llama").symlink_to(folder("any length, ONNX Runtime"))
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "session.md", "exec"), {})  # noqa: S102 - the document's own
    assert capsys.readouterr().out == "2 8\n"


def test_what_a_session_cannot_open_is_refused_in_one_line(folder: Callable[[str], Path]) -> None:
    out = folder("any length, ONNX Runtime")
    refusals: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"runner": "abacus"}, UsageError, "expected a runner out of .*, found 'abacus'"),
        ({"checkpoint": "x.stream"}, UsageError, "expected a checkpoint with the runner 'jax' alone"),
        ({"runner": "jax", "checkpoint": "x.stream"}, CheckpointError, "x.stream"),
    ]
    for options, error, message in refusals:
        with pytest.raises(error, match=message) as caught:
            lwmport.Session(out, **options)
        assert "\n" not in str(caught.value)


def recorded(converted: Path, out: Path, **changes: Any) -> Path:
    """Write, into a folder, a record for each model of a converted one: there was nothing to compile."""
    out.mkdir()
    for part in manifest.read(converted).components:
        made = Compilation(
            component=part.name, artifact=part.path, target="cpu", tool="onnxruntime", status=Status.PASSED, reason="",
            folder=os.path.relpath(converted, out), commands=(), details={"precision": "float32", "threads": 1},
        )  # fmt: skip
        (out / name_of(part.name)).write_bytes(text(replace(made, **changes)))
    return out


def test_a_folder_of_records_is_what_they_say(
    folder: Callable[[str], Path], tokens: Array, mask: Array, tmp_path: Path
) -> None:
    case = "a pair, ONNX Runtime"
    with lwmport.Session(recorded(folder(case), tmp_path / "records")) as session:
        found = stepped(session, tokens, mask, 5)
    with lwmport.Session(folder(case), threads=1) as session:
        assert np.array_equal(found, stepped(session, tokens, mask, 5))
    for changes in ({"tool": "atc"}, {"artifact": "../llama-decode.onnx"}, {"folder": "nowhere"}):
        with pytest.raises(ArtifactError, match="a model that runs on this machine"):
            lwmport.Session(recorded(folder(case), tmp_path / next(iter(changes)), **changes))
