"""The names that callers of a TFLite file use: those of its signature, which its tensors need not have."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

SIGNATURE: Final = "serving_default"
"""The usual key, which TensorFlow's converter gives."""

MAIN: Final = 0
"""The subgraph that runs where none is named."""


def public_names(signatures: Sequence[Any], tensors: Sequence[str], limit: int) -> Mapping[str, str]:
    """Return tensor -> the name that a caller gives it, of the main subgraph's inputs and outputs.

    Of several signatures of that subgraph the one called ``serving_default`` counts, or else the first, as in
    `lwmport.runtime.runners.litert`; without one there are no such names.

    Raises:
        IndexError: a signature names a tensor that there is none of.
        ValueError: a signature lists more than ``limit`` names, which the file could not hold.
    """
    own = [signature for signature in signatures if signature.SubgraphIndex() == MAIN and signature.SignatureKey()]
    named = [signature for signature in own if signature.SignatureKey() == SIGNATURE.encode()]
    chosen = next(iter((*named, *own)), None)
    if chosen is None:
        return {}
    found: dict[str, str] = {}
    for count, item in ((chosen.InputsLength(), chosen.Inputs), (chosen.OutputsLength(), chosen.Outputs)):
        if not 0 <= count <= limit:
            raise ValueError(f"a signature of {count} names")
        for entry in map(item, range(count)):
            found[tensors[entry.TensorIndex()]] = (entry.Name() or b"").decode("utf-8", "replace")
    return {tensor: name for tensor, name in found.items() if name}
