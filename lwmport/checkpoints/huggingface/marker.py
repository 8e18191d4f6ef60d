"""What lwmport says of itself in a ``config.json`` that it writes: where each choice came from, and a seed if any.

transformers carries the entry and does not read it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lwmport.choices import RANDOM, Choice, metadata

FILE: Final = "config.json"
ENTRY: Final = "lwmport"
SEED: Final = "seed"


def marked(texts: Mapping[str, str], choices: Iterable[Choice], source: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a folder, its ``config.json`` with the choices and the seed of random weights.

    ``source`` is where the weights come from (`lwmport.types.Weights.source`).
    """
    seed = source.get(RANDOM, source.get("seed"))
    told = {**({"choices": found} if (found := metadata(choices)) else {}), **({} if seed is None else {SEED: seed})}
    if FILE not in texts or not told:
        return dict(texts)
    fields = {**json.loads(texts[FILE]), ENTRY: told}
    return {**texts, FILE: json.dumps(dict(sorted(fields.items())), indent=2) + "\n"}


def seed_of(fields: Mapping[str, Any]) -> int | None:
    """Return the seed that a ``config.json`` tells, if it tells one."""
    told = fields.get(ENTRY)
    seed = told.get(SEED) if isinstance(told, dict) else None
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else None
