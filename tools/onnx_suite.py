"""ONNX's own suite of models through every command, each file against the judges that there are.

    python tools/onnx_suite.py make FOLDER [DATA ...]
    python tools/onnx_suite.py run FOLDER RESULTS [--stage check --stage runtime ...] [--compass PYTHON]
    python tools/onnx_suite.py count RESULTS

``make`` writes the suite of the installed onnx, and adds the models of other versions' ``onnx/backend/test/data``.
``run`` adds to ``RESULTS/results.jsonl`` a line for each file and stage, and leaves out what stands there; children do
the work, so that one that dies or hangs costs one file. ``--compass`` is a Python that has Compass's parser, found by
``PYTHONPATH``. ``count`` prints the counts as JSON: traceback, deaths, and where a verdict and its judge differ.
"""

import argparse
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import onnx_suite_counts as counts
import onnx_suite_files as files

SECONDS: Final = 120.0
"""How long one task may take."""

STAGES: Final = ("check", "runtime", "fix-ascend", "fix-aipu", "fix-migraphx", "compile", "compass", "compass-mended")
MEMORY_OF_TASKS: Final = 200
"""How many tasks one child does: a parser keeps something of each."""


class Child:
    """A process that answers a line with a line, and is started anew after it died or did not answer."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = 0

    def ask(self, task: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer, or ``died`` with what the process ended with, or ``hung``."""
        if self.process is None or self.asked == MEMORY_OF_TASKS:
            self.close()
            here = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, here)), "TF_CPP_MIN_LOG_LEVEL": "3"}
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(self.words, stdin=pipe, stdout=pipe, env=environment)  # noqa: S603 - ours
            self.asked = 0
        self.asked += 1
        sent, said = self.process.stdin, self.process.stdout
        if sent is None or said is None:
            return {"died": "no pipes"}
        try:
            sent.write(json.dumps(task).encode() + b"\n")
            sent.flush()
            ready = select.select([said], [], [], seconds)[0]
            line = said.readline() if ready else b""
        except BrokenPipeError:
            ready, line = [said], b""
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        if not ready:
            self.close()
            return {"hung": seconds}
        code = self.process.wait()
        self.process = None
        return {"died": code}

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


def main() -> int:
    """Do as told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("others", type=Path, nargs="*")
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("results", type=Path)
    running.add_argument("--stage", action="append", choices=STAGES, help="all but Compass's, if none is named")
    running.add_argument("--compass", help="a Python with Compass's parser; its stages need it")
    running.add_argument("--only", default="", help="only models whose path has these words")
    counting = commands.add_parser("count")
    counting.add_argument("results", type=Path)
    given = parser.parse_args()
    if given.command == "make":
        sys.stdout.write(f"{files.make(given.folder, given.others)} models in {given.folder}\n")
    elif given.command == "run":
        given.results.mkdir(parents=True, exist_ok=True)
        usual = STAGES if given.compass else STAGES[:-2]
        for stage in given.stage or usual:
            _run(stage, given)
    else:
        found = counts.count(_read(given.results))
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def _run(stage: str, given: argparse.Namespace) -> None:
    """Do one stage of every model, but for what is done."""
    done = {line["model"] for line in _read(given.results) if line["stage"] == stage}
    child = _child(stage, given.compass)
    with (given.results / "results.jsonl").open("a", encoding="utf-8") as out:
        for model in files.models(given.folder):
            task = None if model in done or given.only not in model else _task(stage, model, given)
            if task is None:
                continue
            found = child.ask(task, SECONDS)
            out.write(json.dumps({"model": model, "stage": stage, **found}) + "\n")
            out.flush()
    child.close()


def _child(stage: str, compass: str | None) -> Child:
    here = Path(__file__).parent
    if stage.startswith("compass"):
        return Child(compass or sys.executable, str(here / "onnx_suite_compass.py"))
    return Child(sys.executable, str(here / "onnx_suite_stages.py"))


def _task(stage: str, model: str, given: argparse.Namespace) -> dict[str, str] | None:
    """Return what a child is asked to do with a model, None for nothing."""
    path, mended = given.folder / model, given.results / "mended" / model
    if stage.startswith("fix"):
        target = stage.removeprefix("fix-")
        return {"stage": "fix", "target": target, "model": str(path), "keep": str(mended) if target == "aipu" else ""}
    if not stage.startswith("compass"):
        return {"stage": stage, "model": str(path)}
    if stage == "compass-mended":
        path = mended
    return counts.compass_config(path) if path.is_file() else None


def _read(results: Path) -> Iterator[dict[str, Any]]:
    path = results / "results.jsonl"
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
