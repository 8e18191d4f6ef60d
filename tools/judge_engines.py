"""Greedy tokens of seeded weights in everybody's engine: ``python tools/judge_engines.py --seeds 3141 59265``.

A seed says the sizes of a small model, its weights and a prompt, so that a new one is a model that nobody has seen. The
model is converted for our runners, and to a Hugging Face folder and to GGUF for transformers and llama.cpp. Those run
in processes of their own, in this Python or in those of ``--engines``. The reference is JAX on the weights of the file:
of a GGUF of 16 or 8 bits, on what it holds. Where a token differs, the table has the place, and how far apart the two
best logits of the reference are there. llama.cpp rounds activations to 8 bits before it multiplies with weights of 8.

Exit code 1 if a token differs where the reference's two best logits are further apart than ``--gap``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import lwmport
from lwmport.models.options import Options
from lwmport.types import Array

PEERS: Final = Path(__file__).with_name("judge_peers.py")
REFERENCE: Final = "jax"
EXACT: Final = "f32"
STORED: Final[dict[str, dict[str, Any]]] = {EXACT: {}, "f16": {"store": "float16"}, "q8_0": {"quantize": "q8_0"}}
"""What the weights of a GGUF are -> the options that say so."""

OURS: Final[dict[str, dict[str, Any]]] = {
    "onnxruntime": {"format": "onnx"},
    "openvino": {"format": "onnx", "dialect": "openvino"},
    "litert": {"format": "tflite", "static": True},
}
"""Our runner -> what it is converted to."""

LIMIT: Final = 600
"""Seconds of a process."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a seed makes: the sizes of a model, and a prompt."""

    seed: int
    config: dict[str, Any]
    ids: list[int]
    count: int


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Greedy tokens, and how far apart the two best logits of each were."""

    tokens: list[int]
    gaps: list[float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How an engine did: ``place`` is the first token that differs, ``gap`` that of the reference there."""

    seed: int
    weights: str
    engine: str
    same: bool = False
    place: int | None = None
    gap: float | None = None
    tokens: list[int] = field(default_factory=list)
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print and write; return the exit code."""
    asked = _parser().parse_args(arguments)
    engines = {engine: (python, reads) for python in asked.engines for engine, reads in _found(python).items()}
    rows = []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory(dir=asked.scratch) as work:
            for row in _judged(task_of(seed, asked.prompt, asked.tokens), Path(work), engines, asked.runners):
                sys.stdout.write(f"{_line(row)}\n")
                sys.stdout.flush()
                rows.append(row)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return int(any(row.error or (row.gap is not None and not row.gap <= asked.gap) for row in rows))


def task_of(seed: int, prompt: int, count: int) -> Task:
    """Return what a seed makes."""
    random = np.random.default_rng(seed)
    heads = int(random.choice([2, 4]))
    words = int(random.integers(300, 1500))
    config = {
        "vocab_size": words,
        "hidden_size": 32 * heads * int(random.choice([1, 2])),
        "intermediate_size": 32 * int(random.integers(3, 9)),
        "num_hidden_layers": int(random.integers(2, 5)),
        "num_attention_heads": heads,
        "num_key_value_heads": int(random.choice([1, 2])),
        "max_sequence_length": 256,
        "theta": float(random.choice([1e4, 1e6, 5e7])),
        "initializer_range": 0.2,
        "scan_layers": False,
    }
    ids = random.integers(3, words, prompt).tolist()
    return Task(seed=seed, config=config, ids=ids, count=count)


def _judged(task: Task, work: Path, engines: dict[str, tuple[str, str]], runners: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each engine, on weights of each kind."""
    exact = None
    for runner in runners:
        folder = _converted(task, work / runner, **OURS[runner])
        exact = exact or _reference(folder, task)
        yield _row(task, EXACT, runner, exact, _ours(folder, task, runner))
    exact = exact or _reference(_converted(task, work / "onnx", format="onnx"), task)
    folder = _converted(task, work / "hf", format="hf")
    for engine, (python, reads) in engines.items():
        if reads == "hf":
            yield _peer(task, EXACT, engine, exact, python, next(folder.glob("*.hf")))
    for weights, options in STORED.items():
        folder = _converted(task, work / f"gguf-{weights}", format="gguf", tokenizer="none", **options)
        file = next(folder.glob("*.gguf"))
        told = exact
        if weights != EXACT:
            read = _converted(task, work / f"read-{weights}", format="onnx", checkpoint=str(file))
            told = _reference(read, task, str(file))
            yield _row(task, weights, "onnxruntime", told, _ours(read, task, None))
        for engine, (python, reads) in engines.items():
            if reads == "gguf":
                yield _peer(task, weights, engine, told, python, file)


def _converted(task: Task, out: Path, *, static: bool = False, **fields: Any) -> Path:
    """Return a folder of the model."""
    options: dict[str, Any] = {name: fields.pop(name) for name in ("store", "quantize") if name in fields}
    if static:
        options |= {"sequence": len(task.ids), "max_length": len(task.ids) + task.count}
    if "checkpoint" not in fields:
        fields |= {"seed": task.seed, "config": task.config}
    lwmport.convert(component="llama", out=out, validate=False, options=Options(**options), **fields)
    return out


def _reference(folder: Path, task: Task, checkpoint: str | None = None) -> Reference:
    """Return what JAX gives for the weights of a folder."""
    tokens, gaps = list[int](), list[float]()
    with lwmport.Session(folder, runner=REFERENCE, checkpoint=checkpoint) as session:
        for logits in _steps(session, task):
            second, first = np.partition(logits, -2)[-2:]
            tokens.append(int(logits.argmax()))
            gaps.append(float(first - second))
    return Reference(tokens=tokens, gaps=gaps)


def _ours(folder: Path, task: Task, runner: str | None) -> list[int]:
    with lwmport.Session(folder, runner=runner) as session:
        return [int(logits.argmax()) for logits in _steps(session, task)]


def _steps(session: Any, task: Task) -> Iterator[Array]:
    """Yield the logits [vocabulary] of each new token, which is the largest."""
    found = session.prefill([task.ids])["logits"][0, -1]
    for _ in range(task.count - 1):
        yield found
        found = session.step([[int(found.argmax())]])["logits"][0, -1]
    yield found


def _peer(task: Task, weights: str, engine: str, told: Reference, python: str, model: Path) -> Row:
    """Return the row of an engine in a process of its own."""
    try:
        done = subprocess.run(  # noqa: S603 - an engine that the user names
            [python, str(PEERS), engine, str(model)],
            input=json.dumps({"ids": task.ids, "count": task.count}),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return Row(seed=task.seed, weights=weights, engine=engine, error=f"no answer within {LIMIT} seconds")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Row(seed=task.seed, weights=weights, engine=engine, error=last)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return _row(task, weights, found["engine"], told, found["tokens"])


def _row(task: Task, weights: str, engine: str, told: Reference, tokens: list[int]) -> Row:
    place = next((place for place, token in enumerate(told.tokens) if tokens[place : place + 1] != [token]), None)
    gap = None if place is None else told.gaps[place]
    return Row(seed=task.seed, weights=weights, engine=engine, same=place is None, place=place, gap=gap, tokens=tokens)


def _line(row: Row) -> str:
    end = row.error or ("the same tokens" if row.same else f"differs at token {row.place}, gap {row.gap:.3g}")
    return f"{row.seed:>10}  {row.weights:5} {row.engine:28} {end}"


def _found(python: str) -> dict[str, str]:
    """Return the engines that a Python has, and what each reads."""
    command = [python, str(PEERS), "which"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT)  # noqa: S603 - as above
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add: Any = parser.add_argument
    add("--seeds", type=int, nargs="+", required=True, help="one model each; take numbers that nobody took before")
    add("--engines", nargs="*", default=[sys.executable], metavar="PYTHON", help="Pythons that have engines")
    add("--runners", nargs="*", default=list(OURS), choices=list(OURS), help="our runners, beside JAX")
    add("--tokens", type=int, default=24, help="new tokens")
    add("--prompt", type=int, default=16, help="tokens of the prompt")
    add("--gap", type=float, default=1e-3, help="two logits that are nearer may change places")
    add("--scratch", type=Path, help="the folder for the models while they are judged")
    add("--json", type=Path, help="the rows as a file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
