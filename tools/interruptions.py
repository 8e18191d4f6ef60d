"""Send Ctrl-C at random moments, and say how each command ended.

    python tools/interruptions.py --count 50 --seed 1 --work FOLDER

Right is exit code 130 within two seconds, one line, no traceback, and nothing under a final name. Exit code 1 if any
run was not right; the last line is the summary.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

SECONDS: Final = 2.0
MODEL: Final = ("--component", "vqgan-decoder", "--config", "debug")
COMMANDS: Final = {
    "convert": ("convert", *MODEL, "--to", "onnx", "--out", "{out}/o"),
    "convert to tflite": ("convert", *MODEL, "--to", "tflite", "--out", "{out}/o"),
    "port": ("port", *MODEL, "--target", "cpu", "--out", "{out}/p"),
    "bundle": ("bundle", "{work}/made", "--target", "cpu", "--out", "{out}/b.zip"),
}


def words(command: tuple[str, ...], work: Path, out: Path) -> list[str]:
    """Return a command line with its folders."""
    filled = [word.replace("{work}", str(work)).replace("{out}", str(out)) for word in command]
    return [sys.executable, "-m", "lwmport", *filled]


def interrupted(command: list[str], after: float, out: Path) -> tuple[str, float]:
    """Return how a run ended that was asked to end after some seconds, and how long that took."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        asked = time.monotonic()
    else:
        return "was done before", 0.0
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    took = time.monotonic() - asked
    wrong = [] if process.returncode == 130 else [f"exit code {process.returncode}"]
    wrong += ["a traceback"] if "Traceback" in errors else []
    wrong += [f"{took:.1f} s"] if took > SECONDS else []
    wrong += [f"left {path.name}" for path in out.rglob(".lwmport-*")]
    return ", ".join(wrong) or "right", took


def run(command: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command


def main() -> int:
    """Run the tries and print each that is not right, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    work, rng = options.work.resolve(), random.Random(options.seed)  # noqa: S311 - moments, not secrets
    made, out = work / "made", work / "trial"
    if not made.exists():
        run(words(("convert", *MODEL, "--to", "onnx", "--out", str(made)), work, out))
    lasts: dict[str, float] = {}
    for name, command in COMMANDS.items():
        shutil.rmtree(out, ignore_errors=True)
        begin = time.monotonic()
        run(words(command, work, out))
        lasts[name] = time.monotonic() - begin
    counts: Counter[str] = Counter()
    longest = 0.0
    for number in range(options.count):
        name = list(COMMANDS)[number % len(COMMANDS)]
        shutil.rmtree(out, ignore_errors=True)
        after = rng.uniform(0.3, lasts[name])
        how, took = interrupted(words(COMMANDS[name], work, out), after, out)
        counts[how] += 1
        longest = max(longest, took)
        if how not in {"right", "was done before"}:
            sys.stdout.write(f"{name}, asked after {after:.2f} s: {how}\n")
    sys.stdout.write(f"{options.count} tries: {dict(counts)}, the slowest took {longest:.2f} s, seed {options.seed}\n")
    return 0 if counts.keys() <= {"right", "was done before"} else 1


if __name__ == "__main__":
    sys.exit(main())
