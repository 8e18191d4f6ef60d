"""What a file of TensorFlow's says it depends on, where its format has no texts of its own."""

import json

from lwmport.choices import metadata, of_source
from lwmport.types import Weights


def choices_text(weights: Weights) -> bytes:
    """Return the choices that weights being converted hold, as JSON; nothing where they hold none."""
    told = metadata(of_source(weights.source))
    return json.dumps({"choices": told}, ensure_ascii=False, indent=1).encode() + b"\n" if told else b""
