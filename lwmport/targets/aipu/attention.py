"""What Compass's optimizer is told of attention where it quantises to integers.

A mask adds a number so low that its exponential is 0 beside any other. Quantised as it stands, the scores share the 8
bits with it and are all alike. So the optimizer is told to look no lower than `LOWEST` where it takes the range of
scores with their mask: what lies below saturates there, and its exponential is nothing still. The model itself keeps
its exact mask.

Its usual softmax over integers rounds every probability to a power of two, more or less; the other method that it has
reads the exponential from a table.
"""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.opening import open_graph

LOWEST: Final = -32
"""exp(-32) is 1e-14."""

MASKING: Final = frozenset({"Add", "AddV2", "ADD", "Where", "Select", "SelectV2", "SELECT", "SELECT_V2"})
SOFTMAX: Final = frozenset({"Softmax", "SOFTMAX"})
NAME: Final = re.compile(r"[\w./-]+", re.ASCII)

TABLE: Final = "[2,20][0]"
"""Method 2, the table, whose entries have 20 bits, as the optimizer's own help suggests; nothing for floats."""


def attention_keys(path: Path) -> Mapping[str, str]:
    """Return the optimizer's keys for the attention of a model, none where it has none or the file cannot be read."""
    masked = masked_scores(path)
    if masked is None:
        return {}
    keys = {"enable_pass_tune_op_softmax": TABLE}
    if masked:
        nodes = " ".join(f"<{{{name.replace('.', '[.]')}$}}:clip({LOWEST}, inf)>" for name in masked)
        keys["trim_infinity_before_statistic"] = f"clip(-inf, inf) & {nodes}"
    return keys


def masked_scores(path: Path) -> tuple[str, ...] | None:
    """Return the names of the nodes that mask what a softmax reads, None where no softmax is found."""
    with contextlib.suppress(ArtifactError):
        graph = open_graph(path)
        softmaxes = [node for node in graph.nodes if node.op in SOFTMAX]
        if softmaxes:
            made = {output: node for node in graph.nodes for output in node.outputs}
            sources = (made.get(node.input(0)) for node in softmaxes)
            names = (node.name for node in sources if node is not None and node.op in MASKING)
            return tuple(name for name in dict.fromkeys(names) if NAME.fullmatch(name))
    return None
