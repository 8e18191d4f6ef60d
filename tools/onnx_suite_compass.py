"""Runs Compass's parser on one model after another. It runs under a Python that has the parser, and imports it alone.

Each line of standard input is one configuration as JSON, each line of standard output is what the parser said of it:
its errors, the warnings after which it guesses, and whether it took the model.
"""

import importlib
import json
import os
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
    done = False
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = bool(parse({**config, "output_dir": folder}))
        except SystemExit:
            errors.append("the parser ended itself")
        except Exception as error:  # noqa: BLE001 - the parser may raise anything
            errors.append(f"{type(error).__name__}: {error}")
        text = Path(folder) / f"{config['model_name']}.txt"
        written = text.is_file() and text.stat().st_size > 0
    return {"takes": done and written and not errors and not guesses, "errors": errors, "guesses": guesses}


if __name__ == "__main__":
    main()
