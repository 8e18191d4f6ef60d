"""The benchmark of the LLaMA's ONNX conversion against its peers: ``python benchmarks/llama.py --help``.

It reports ratios. It asserts nothing about seconds, for they are the machine's and the minute's.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import llama_conversions
import numpy as np
from interpreters import OWN, environment, named
from llama_contenders import BASELINE, CONTENDERS
from llama_conversions import FOLDER, Job, model_file, write_tokenizer
from llama_full import measure_full
from llama_races import race_all
from llama_results import Findings, markdown
from llama_runners import DECODE, PREFILL, Case
from processes import Cost, convert_elsewhere, convert_in_turns, say
from tables import machine
from threads import cores

from lwmport.types import Array

CONVERSIONS = Path(llama_conversions.__file__)
"""The script that converts, in a process of each contender's own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.python = dict(options.python)
    if strangers := sorted(set(options.python) - (set(CONTENDERS) - {BASELINE})):
        parser.error(f"expected a contender other than {BASELINE} before = in --python, found {', '.join(strangers)}")
    if options.full and not options.full.is_file():
        parser.error(
            f"expected LWM's stream as --full, found no file {options.full}; lwmport checkpoint make writes one"
        )
    with tempfile.TemporaryDirectory(dir=options.work, prefix="lwmport-benchmark-") as work:
        findings = _full(options, Path(work)) if options.full else benchmark(options, Path(work))
    print(markdown(findings))
    if options.json:
        options.json.write_text(json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(findings), encoding="utf-8")


def benchmark(options: argparse.Namespace, work: Path) -> Findings:
    """Return what all steps found: weights, conversions, then the race."""
    config = _config(options, f"num_hidden_layers={options.layers}")
    job = Job(config=_written(config, work), checkpoint=str(work / "llama.stream"), folder="", out="")
    absences = {name: CONTENDERS[name].absence(options.python.get(name, OWN)) for name in options.only}
    left_out = {name: reason for name, reason in absences.items() if reason}
    _seed(job, options.seed)
    costs = _folder(job, options, work, config["vocab_size"]) if set(options.only) - {BASELINE} - set(left_out) else {}
    job = replace(job, folder=str(work / FOLDER / "llama.hf"))
    jobs = {name: replace(job, out=str(work / name)) for name in options.only}
    costs |= convert_in_turns(CONVERSIONS, jobs, options.conversions, options.threads, left_out, options.python)
    Path(job.checkpoint).unlink()
    shutil.rmtree(work / FOLDER, ignore_errors=True)
    cases = {name: _case(name, model_file(work / name, name), options, config) for name in costs if name in CONTENDERS}
    say(f"race {', '.join(cases)}, {options.rounds} rounds")
    results = race_all(cases, _tokens(options, config["vocab_size"]), options.rounds, left_out)
    return Findings(setting=_setting(options, config), costs=costs, results=results, left_out=left_out)


def _full(options: argparse.Namespace, work: Path) -> Findings:
    """Return what the whole checkpoint took beside ``cp``."""
    say(f"convert {options.full} beside cp, {options.rounds} rounds")
    config = _config(options)
    full = measure_full(options.full, _written(config, work), work, options.rounds)
    setting = {**_setting(options, config), "layers": config["num_hidden_layers"]}
    return Findings(setting=setting, costs={}, results={}, left_out={}, full=full)


def _config(options: argparse.Namespace, *settings: str) -> dict[str, Any]:
    """Return LWM's fields of a named configuration, with changes."""
    from lwmport.models.llama.presets import CONFIGS
    from lwmport.models.options import changes

    return CONFIGS[options.config].updated(changes([*settings, *options.set])).to_json()


def _written(config: Mapping[str, Any], work: Path) -> str:
    """Write a configuration, and return the path."""
    path = work / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)


def _seed(job: Job, seed: int) -> None:
    """Write seeded weights as LWM would: a stream of bfloat16."""
    say(f"write seeded weights, seed {seed}")
    made = ["checkpoint", "make", "--component", "llama", "--config", job.config, "--dtype", "bfloat16"]
    made += ["--seed", str(seed), "--out", job.checkpoint]
    subprocess.run([sys.executable, "-m", "lwmport", *made], check=True, stdout=subprocess.DEVNULL)


def _folder(job: Job, options: argparse.Namespace, work: Path, words: int) -> dict[str, Cost]:
    """Write the folder that the peers read, and return what that took."""
    say("write the Hugging Face folder that the others read")
    cost = convert_elsewhere(CONVERSIONS, FOLDER, replace(job, out=str(work / FOLDER)), options.threads)
    write_tokenizer(work / FOLDER / "llama.hf", words)
    return {FOLDER: cost}


def _case(name: str, path: Path, options: argparse.Namespace, config: Mapping[str, Any]) -> Case:
    heads = config["num_attention_heads"]
    return Case(
        path=str(path),
        heads=heads,
        size=config["hidden_size"] // heads,
        length=options.prefill + options.decode,
        threads=options.threads,
        interpreter=CONTENDERS[name].runner(options.python.get(name, OWN)),
    )


def _tokens(options: argparse.Namespace, size: int) -> dict[str, Array]:
    """Return the tokens of each stage, int64 [1, n], the same for everyone."""
    random = np.random.default_rng(options.seed)
    counts = {PREFILL: options.prefill, DECODE: options.decode}
    return {stage: random.integers(0, size, (1, count), dtype=np.int64) for stage, count in counts.items()}


def _setting(options: argparse.Namespace, config: Mapping[str, Any]) -> dict[str, Any]:
    names = ("config", "layers", "threads", "prefill", "decode", "rounds", "conversions", "seed")
    chosen = {name: getattr(options, name) for name in names}
    apart = {name: asdict(environment(path, ())) for name, path in options.python.items() if name in options.only}
    return {**chosen, "fields": dict(config), "cores": cores(), **machine(), "environments": apart}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Race the LLaMA's ONNX conversion against its peers.")
    add = parser.add_argument
    add("--threads", type=int, default=2, help="threads of everyone, conversions included (default: 2)")
    add("--rounds", type=int, default=5, help="how often everyone runs, in turns (default: 5)")
    add("--conversions", type=int, default=1, help="how often everyone converts, in turns (default: 1)")
    add("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS), metavar="NAME")
    add(
        "--python",
        action="append",
        default=[],
        type=named,
        metavar="NAME=INTERPRETER",
        help="the Python of an environment of a contender's own; may be given several times",
    )
    add("--config", default="7b", help="a width by name; debug is for tests, its times mean nothing (default: 7b)")
    add("--layers", type=int, default=4, help="layers of that width (default: 4)")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the configuration")
    add("--prefill", type=int, default=128, help="tokens of the prefill (default: 128)")
    add("--decode", type=int, default=8, help="single tokens behind it (default: 8)")
    add("--seed", type=int, default=0)
    add("--full", type=Path, metavar="CHECKPOINT", help="only convert this stream of --config to float16, beside cp")
    add("--json", type=Path, metavar="FILE")
    add("--markdown", type=Path, metavar="FILE")
    add("--work", type=Path, help="where the models are kept for as long as it runs, about 6 GB a layer")
    return parser


if __name__ == "__main__":
    main()
