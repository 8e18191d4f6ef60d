"""Runs Compass's parser on one model after another. It runs under a Python that has the parser, and imports it alone.

Each line of standard input is one configuration as JSON, each line of standard output is what the parser said of it:
its errors, the warnings after which it guesses, the inputs that its IR no longer has, and whether it took the model. An
input that is gone was made a constant of a value that the parser made up.
"""

import importlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

GUESS: Final = " meets issues"


def main() -> None:
    """Answer each line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    for line in sys.stdin:
        answers.write(json.dumps(_parse(json.loads(line))) + "\n")
        answers.flush()


def _parse(config: dict[str, str]) -> dict[str, Any]:
    logger: Any = importlib.import_module("AIPUBuilder.Parser.logger").LOGGER
    parse: Any = importlib.import_module("AIPUBuilder.Parser.univ_parser").univ_parser
    errors: list[str] = []
    guesses: list[str] = []
    logger.error = logger.fatal = lambda text, *_, **__: errors.append(str(text))
    logger.warning = lambda text, *_, **__: guesses.append(str(text)) if GUESS in str(text) else None
    idle, done = int(config.pop("idle", "0")), False
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = bool(parse({**config, "output_dir": folder}))
        except SystemExit:
            errors.append("the parser ended itself")
        except Exception as error:  # noqa: BLE001 - the parser may raise anything
            errors.append(f"{type(error).__name__}: {error}")
        text = Path(folder) / f"{config['model_name']}.txt"
        written = text.read_text(encoding="utf-8", errors="replace") if text.is_file() else ""
    wanted = len([name for name in config.get("input", "").split(",") if name])
    found = re.search(r"^input_tensors=\[(.*)\]$", written, re.MULTILINE)
    lost = wanted - len([name for name in found[1].split(",") if name]) if found else 0
    takes = done and bool(written) and not errors and not guesses and lost <= idle
    return {"takes": takes, "errors": errors[:4], "guesses": guesses[:4], "lost": lost}


if __name__ == "__main__":
    main()
