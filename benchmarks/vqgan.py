"""The benchmark of the VQGAN's ONNX conversion against its peers: ``python benchmarks/vqgan.py --help``.

It reports ratios. It asserts nothing about seconds, for they are the machine's and the minute's.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, Case
from conversions import CONVERTERS, HALVES, Job, model_file
from nodes import count
from processes import convert_here, convert_in_turns, say
from races import Result, race_half, reference
from results import Findings, markdown
from tables import machine
from threads import cores

USUAL = tuple(name for name, contender in CONTENDERS.items() if contender.usual)
"""Who takes part unasked: not the official route to TFLite, which takes minutes and 16 GB."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, or the one conversion that a run of it ordered."""
    options = _parser().parse_args(arguments)
    if options.convert:
        convert_here(options.convert, CONVERTERS, Job)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        findings = benchmark(options, Path(work))
    print(markdown(findings))
    if options.json:
        options.json.write_text(json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(findings), encoding="utf-8")


def benchmark(options: argparse.Namespace, work: Path) -> Findings:
    """Return what all steps found: weights, conversions, then the races."""
    halves = tuple(half for half in HALVES if half in options.half)
    checkpoint = options.checkpoint or _seeded(options.config, options.seed, work)
    left_out = {name: reason for name in options.only if (reason := CONTENDERS[name].absence())}
    job = Job(halves=halves, config=options.config, checkpoint=checkpoint, out="")
    jobs = {name: replace(job, out=str(work / name)) for name in options.only if name in CONVERTERS}
    costs = convert_in_turns(Path(__file__), jobs, options.conversions, options.threads, left_out)
    running = [name for name in options.only if name not in left_out]
    case = Case(half="", config=options.config, checkpoint=checkpoint, out="", threads=options.threads)
    return Findings(
        setting=_setting(options),
        costs=costs,
        nodes={
            name: {half: count(model_file(work / name, half)) for half in halves}
            for name in costs
            if CONTENDERS[name].suffix == ".onnx"
        },
        results=_race(case, {name: replace(case, out=str(work / name)) for name in running}, halves, options.rounds),
        left_out=left_out,
    )


def _race(case: Case, cases: Mapping[str, Case], halves: Sequence[str], rounds: int) -> dict[str, dict[str, Result]]:
    """Return the results of each half; the decoder decodes what JAX's encoder made of the photograph."""
    from lwmport.models.vqgan.config import CONFIGS
    from lwmport.validators.pictures import photographs

    picture = {"pixel_values": photographs(1, CONFIGS[case.config].resolution)}
    encoded = reference(replace(case, half="encoder"), picture)
    codes = {"codebook_indices": encoded["codebook_indices"]}
    results = {}
    for half in halves:
        say(f"race {', '.join(cases)} on the {half}, {rounds} rounds")
        inputs = picture if half == "encoder" else codes
        expected = encoded if half == "encoder" else reference(replace(case, half=half), codes)
        own = {name: replace(given, half=half) for name, given in cases.items()}
        results[half] = race_half(own, inputs, expected, rounds)
    return results


def _seeded(config: str, seed: int, work: Path) -> str:
    """Write seeded weights as LWM would, and return the path."""
    path = str(work / "vqgan.pickle")
    say(f"write seeded weights, seed {seed}")
    made = ["checkpoint", "make", "--component", "vqgan", "--config", config, "--seed", str(seed), "--out", path]
    subprocess.run([sys.executable, "-m", "lwmport", *made], check=True, stdout=subprocess.DEVNULL)
    return path


def _setting(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {
        name: getattr(options, name) for name in ("config", "threads", "rounds", "conversions", "seed", "checkpoint")
    }
    return {**chosen, "cores": cores(), "photograph": "astronaut", **machine()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Race the VQGAN's ONNX conversion against its peers.")
    add = parser.add_argument
    add("--threads", type=int, default=2, help="threads of everyone, conversions included (default: 2)")
    add("--rounds", type=int, default=5, help="how often everyone runs, in turns (default: 5)")
    add("--conversions", type=int, default=3, help="how often everyone converts, in turns (default: 3)")
    add("--half", nargs="+", choices=HALVES, default=HALVES)
    add("--only", nargs="+", choices=tuple(CONTENDERS), default=USUAL, metavar="NAME")
    add("--config", choices=("lwm", "debug"), default="lwm", help="debug is for tests; its times mean nothing")
    add("--checkpoint", help="LWM's weights; seeded ones without it")
    add("--seed", type=int, default=0)
    add("--json", type=Path, metavar="FILE")
    add("--markdown", type=Path, metavar="FILE")
    add("--work", type=Path, help="where the models are kept for as long as it runs, about 3 GB")
    add("--convert", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
