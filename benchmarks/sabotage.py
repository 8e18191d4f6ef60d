"""How well faults are found in converted models: ``python benchmarks/sabotage.py --help``.

Faults are planted at seeded places of converted graphs (`faults`). It counts how many the validators catch, how many
``lwmport bisect`` places at the very operator, how many it explains rightly, and the false alarms on clean conversions;
beside it stands what Polygraphy's layerwise comparison finds on the same ONNX files.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faults import KINDS
from interpreters import OWN, environment
from processes import say
from sabotage_cases import CLEAN, FAULTY, FOREIGN, Case
from sabotage_results import Clean, Fault, Findings, markdown
from sabotage_trials import Attempt, Bench, Setup
from tables import machine
from threads import cores
from workers import Worker


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.again:
        options.again, options.clean = _again(parser, *options.again), 0
    with tempfile.TemporaryDirectory(dir=options.work, prefix="lwmport-sabotage-") as work:
        findings = benchmark(options, Path(work))
    print(markdown(findings))
    if options.json:
        options.json.write_text(json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(markdown(findings) + "\n", encoding="utf-8")


def benchmark(options: argparse.Namespace, work: Path) -> Findings:
    """Return what became of every fault and every clean conversion."""
    peer = options.polygraphy if "polygraphy" not in environment(options.polygraphy, ["polygraphy"]).missing else ""
    if not peer:
        say("no polygraphy here: pip install polygraphy, or --polygraphy INTERPRETER; it is left out")
    setup = Setup(
        work=str(work),
        threads=options.threads,
        bisects=not options.no_bisect,
        peer=peer,
        compiled=str(work / "compiled"),
    )
    line = Line(setup)
    try:
        faults = list(_faults(line, options))
        clean = list(_clean(line, (FOREIGN if options.foreign else CLEAN)[: options.clean]))
    finally:
        line.close()
    return Findings(setting=_setting(options), faults=faults, clean=clean, lost=line.lost)


class Line:
    """Attempts one after the other in a process; one that ends takes a single attempt with it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._worker: Worker | None = None
        self.lost: dict[str, str] = {}

    def made(self, attempt: Attempt) -> Any:
        """Return what became of an attempt; None where nothing did."""
        try:
            self._worker = self._worker or Worker("sabotage", Bench, self._setup)
            return self._worker.run(attempt).outputs["result"]
        except RuntimeError as error:
            self.lost[f"{attempt.case.name}, {attempt.kind or 'clean'}, seed {attempt.seed}"] = str(error)
            self.close()
            return None

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None


def plan(
    count: int, seed: int, kinds: Sequence[str], cases: Sequence[Case] = FAULTY
) -> list[tuple[str, int, list[Case]]]:
    """Return for each fault its kind, its own seed, and the conversions in the order in which it tries them.

    All kinds take turns, so that rare ones are measured as often as those with a place everywhere.
    """
    random = np.random.default_rng(seed)
    turns = random.permutation(len(kinds))
    found = []
    for number in range(count):
        order = [cases[place] for place in random.permutation(len(cases))]
        found.append((kinds[turns[number % len(kinds)]], int(random.integers(2**31)), order))
    return found


def _again(parser: argparse.ArgumentParser, kind: str, seed: str, name: str) -> tuple[str, int, list[Case]]:
    """Return the plan of one fault, in the words of the list of what was not found."""
    cases = [case for case in (*FAULTY, *FOREIGN) if case.name == name]
    if kind not in KINDS or not seed.isdecimal() or not cases:
        names = ", ".join(repr(case.name) for case in (*FAULTY, *FOREIGN))
        parser.error(f"expected --again KIND SEED CONVERSION, one of {names}; found {kind} {seed} {name!r}")
    return kind, int(seed), cases


def _faults(line: Line, options: argparse.Namespace) -> Iterator[Fault]:
    subjects = FOREIGN if options.foreign else FAULTY
    planned = [options.again] if options.again else plan(options.faults, options.seed, options.kinds, subjects)
    for number, (kind, seed, cases) in enumerate(planned):
        for case in cases:
            fault = line.made(Attempt(case=case, kind=kind, seed=seed))
            if fault is not None:
                say(f"{number + 1} of {len(planned)}: {kind} in {case.name}, at {fault.node}: {_told(fault)}")
                yield fault
                break


def _clean(line: Line, cases: Sequence[Case]) -> Iterator[Clean]:
    for number, case in enumerate(cases):
        found = line.made(Attempt(case=case)) or Clean(case=case.name, alarm="the process ended")
        say(f"clean {number + 1} of {len(cases)}: {case.name}: {found.alarm or 'no alarm'}")
        yield found


def _told(fault: Fault) -> str:
    words = ["caught" if fault.caught else "beyond its tolerance, not caught" if fault.beyond else "no output shows it"]
    for name, found in (("bisect", fault.search), ("polygraphy", fault.peer)):
        if found is not None:
            where = found.error or (f"{found.node}, {found.distance} steps" if found.node else "nothing")
            words.append(f"{name}: {where}{f', {found.cause}' if found.cause else ''}")
    return "; ".join(words)


def _setting(options: argparse.Namespace) -> dict[str, Any]:
    names = ("faults", "seed", "clean", "kinds", "threads", "foreign")
    return {**{name: getattr(options, name) for name in names}, "cores": cores(), **machine()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How well faults are found in converted models.")
    parser.add_argument("--faults", type=int, default=200, help="how many are planted")
    parser.add_argument("--seed", type=int, default=0, help="chooses conversions and places")
    parser.add_argument("--clean", type=int, default=len(CLEAN), help="how many clean conversions are judged")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, metavar="KIND", help="only these")
    parser.add_argument("--threads", type=int, default=cores(), help="of each process")
    parser.add_argument(
        "--again", nargs=3, metavar=("KIND", "SEED", "CONVERSION"), help="only this one, as it is listed"
    )
    parser.add_argument("--foreign", action="store_true", help="plant them in exports of PyTorch instead")
    parser.add_argument("--no-bisect", action="store_true", help="ask the validators alone")
    parser.add_argument(
        "--polygraphy", default=OWN, metavar="INTERPRETER", help="a Python that has polygraphy and onnx"
    )
    parser.add_argument("--work", type=Path, default=None, help="where temporary models go")
    parser.add_argument("--json", type=Path, default=None, help="write everything here")
    parser.add_argument("--markdown", type=Path, default=None, help="write the tables here")
    return parser


if __name__ == "__main__":
    main()
