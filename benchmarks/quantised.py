"""Quantised LLaMAs against their peers, speed and what it costs: ``python benchmarks/quantised.py --help``.

It reports numbers of one run. It asserts nothing about seconds, for they are the machine's and the minute's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import quantised_conversions
from divergence import Divergence, compared
from llama_conversions import write_tokenizer
from llama_races import race_all
from llama_runners import DECODE, PREFILL, Case
from processes import convert_in_turns, say
from quantised_contenders import BASELINE, CONTENDERS, REFERENCE, model_bytes, model_file
from quantised_conversions import Job
from quantised_results import Findings, markdown
from quantised_runners import Sparing
from tables import machine
from threads import cores
from workers import Worker

from lwmport.types import Array

CONVERSIONS = Path(quantised_conversions.__file__)
BEGIN, END = 20_000, 60_000
"""Characters of the text that models are judged on, the one of ``calibration.py``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="lwmport-benchmark-") as work:
        findings = benchmark(options, Path(work))
    print(markdown(findings))
    if options.json:
        options.json.write_text(json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(findings), encoding="utf-8")


def benchmark(options: argparse.Namespace, work: Path) -> Findings:
    """Return what all steps found: conversions, what each loses, then the race."""
    folder = options.checkpoint or _seeded(options, work)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    absences = {name: CONTENDERS[name].absence() for name in options.only}
    left_out = {name: reason for name, reason in absences.items() if reason}
    jobs = {name: Job(folder=str(folder), out=str(work / name)) for name in options.only}
    costs = convert_in_turns(CONVERSIONS, jobs, 1, options.threads, left_out)
    files = {name: model_file(work / name, name, str(folder)) for name in costs}
    cases = {name: _case(path, options, config) for name, path in files.items()}
    count = _weights(folder)
    bits = {name: 8 * model_bytes(path) / count for name, path in files.items()}
    windows = _windows(options, folder, config["vocab_size"])
    losses = _losses(cases, windows, left_out) if options.checkpoint or options.judge else {}
    racing = {name: case for name, case in cases.items() if name != REFERENCE and name not in left_out}
    tokens = {PREFILL: windows[:1], DECODE: windows[:1, : options.decode]}
    say(f"race {', '.join(racing)}, {options.rounds} rounds")
    sparing = {name: replace(one, opened=partial(Sparing, one.opened)) for name, one in CONTENDERS.items()}
    results = race_all(racing, tokens, options.rounds, left_out, sparing, BASELINE) if options.rounds else {}
    setting = _setting(options, count)
    return Findings(setting=setting, bits=bits, costs=costs, losses=losses, results=results, left_out=left_out)


def _losses(cases: Mapping[str, Case], windows: Array, left_out: dict[str, str]) -> dict[str, Divergence]:
    """Return how far each contender is from the first of all, which is exact."""
    exact, found = _logits(REFERENCE, cases[REFERENCE], windows), {}
    for name, case in cases.items():
        say(f"judge {name}")
        try:
            found[name] = compared(exact, _logits(name, case, windows), windows)
        except RuntimeError as error:
            left_out[name] = str(error)
    return found


def _logits(name: str, case: Case, windows: Array) -> Array:
    """Return what a contender says of each window, float32 [windows, positions, vocabulary]."""
    with closing(Worker(name, CONTENDERS[name].opened, case, case.interpreter)) as worker:
        return np.concatenate([worker.run({PREFILL: window[None]}).outputs["logits"] for window in windows])


def _seeded(options: argparse.Namespace, work: Path) -> Path:
    """Write seeded weights of a named width as the folder that everyone reads."""
    say("write seeded weights")
    made = [sys.executable, "-m", "lwmport", "convert", "--component", "llama", "--to", "hf", "--no-validate"]
    made += ["--config", options.config, "--precision", "bfloat16", "--set", f"num_hidden_layers={options.layers}"]
    made += [part for setting in options.set for part in ("--set", setting)]
    subprocess.run([*made, "--out", str(work / "hf")], check=True, stdout=subprocess.DEVNULL)
    folder = work / "hf" / "llama.hf"
    write_tokenizer(folder, json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"])
    return folder


def _weights(folder: Path) -> int:
    """Return how many weights a folder holds, from the headers of its files."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    return total


def _windows(options: argparse.Namespace, folder: Path, words: int) -> Array:
    """Return tokens, int64 [windows, prefill]: of a text if the model has read any, else drawn."""
    shape = (options.windows, options.prefill)
    if options.checkpoint is None:
        return np.random.default_rng(0).integers(3, words, shape, dtype=np.int64)
    from lwmport.generation.tokenizer import Tokenizer

    text = "\n".join(topics[name] for name in sorted(topics))[BEGIN:END]
    return np.asarray(Tokenizer(folder).encode(text)[: shape[0] * shape[1]], np.int64).reshape(shape)


def _case(path: Path, options: argparse.Namespace, config: Mapping[str, Any]) -> Case:
    return Case(
        path=str(path),
        heads=config["num_key_value_heads"],
        size=config["hidden_size"] // config["num_attention_heads"],
        length=options.prefill + options.decode,
        threads=options.threads,
    )


def _setting(options: argparse.Namespace, count: int) -> dict[str, Any]:
    seeded = f"{options.config}'s width, {options.layers} layers, seeded weights"
    text = f"characters {BEGIN} to {END} of pydoc_data.topics, {options.windows} windows of {options.prefill} tokens"
    chosen = {name: getattr(options, name) for name in ("threads", "prefill", "decode", "rounds")}
    return {
        **chosen,
        "model": str(options.checkpoint.name) if options.checkpoint else seeded,
        "parameters": count,
        "text": text if options.checkpoint else "drawn tokens",
        "baseline": BASELINE,
        "load": f"{os.getloadavg()[0]:.1f}",
        "cores": cores(),
        **machine(),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="FOLDER", help="a Hugging Face folder of trained weights in float32")
    add("--config", default="7b", help="without --checkpoint: a width by name, seeded weights, speed alone")
    add("--layers", type=int, default=4, help="layers of that width (default: 4)")
    add("--judge", action="store_true", help="without --checkpoint: judge the seeded weights too, on drawn tokens")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the configuration")
    add("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS), metavar="NAME")
    add("--threads", type=int, default=2)
    add("--prefill", type=int, default=512, help="tokens of the prefill and of a window (default: 512)")
    add("--decode", type=int, default=16, help="single tokens behind it (default: 16)")
    add("--windows", type=int, default=2, help="windows of the text that models are judged on (default: 2)")
    add("--rounds", type=int, default=5, help="how often everyone runs, in turns; 0 for no race (default: 5)")
    add("--json", type=Path, metavar="FILE")
    add("--markdown", type=Path, metavar="FILE")
    add("--work", type=Path, help="where the models are kept for as long as it runs: 14 GB for 7b, 4 GB for SmolLM2")
    return parser


if __name__ == "__main__":
    main()
