"""Which file of a Compass dump holds which tensor: the names that each tool makes, looked up.

- ``dump=true`` of the optimizer: ``MODEL_TYPE__LAYER__oN_TENSOR.npy``, ``/`` and ``:`` as ``_``, cut to 250 characters
- ``aipuforward --dump_output``: ``ID_opt_N_TYPE_TENSOR.bin``, ``/`` as ``_``, cut to 249 characters and ``.bin``
- ``OptForward(...).forward(dump_dir=...)``: ``ID_[LAYER]_TENSOR.bin``, ``/`` and ``:`` as ``_``
- ``aipurun``, which is closed: ``dumptensor_NUMBER_...``; and ``NUMBER_gt_exe_N_...`` of its golden executor. Of both
  only Compass_Optimizer tells, and no more than this, so that the end of the name must be that of one tensor

Source: Arm-China/Compass_Optimizer, optmaster.py, opt_forward_main.py and optimizer_forward.py.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from lwmport.runtime.brought.compass_ir import Graph, Top

TYPED: Final = re.compile(r".+_[A-Za-z0-9]+__.+__o\d+_.+\.npy")
"""An output in the optimizer's dump; inputs, weights and constants lie beside it."""

DUMPED: Final = re.compile(r"\d+_opt_\d+_.+\.bin|\d+_\[.+\]_.+\.bin")
CLOSED: Final = re.compile(r"(?:dumptensor_\d+|\d+_gt_exe_\d+)_(?P<rest>.+)\.bin")
MOST_OF_NPY, MOST_OF_BIN = 250, 249


class Names:
    """The names of files that dumps of one model have."""

    def __init__(self, graph: Graph) -> None:
        self._whole: defaultdict[str, list[Top]] = defaultdict(list)
        self._ends: defaultdict[str, list[Top]] = defaultdict(list)
        self._tensors: defaultdict[str, list[Top]] = defaultdict(list)
        for top in graph.tops:
            self._add(graph.name, top)

    def _add(self, model: str, top: Top) -> None:
        end = _mangled(f"__{top.layer}__o{top.index}_{top.name}")
        self._whole[f"{_mangled(f'{model}_{top.kind}')}{end}"[:MOST_OF_NPY] + ".npy"].append(top)
        self._ends[end].append(top)
        slashed = top.name.replace("/", "_")
        forward = f"{top.layer_id}_opt_{top.index}_{top.kind}_{slashed}"
        self._whole[forward[:MOST_OF_BIN] + ".bin"].append(top)
        self._whole[_mangled(f"{top.layer_id}_[{top.layer}]_{top.name}") + ".bin"].append(top)
        self._tensors[f"_{_mangled(top.name)}"].append(top)

    def top_of(self, name: str) -> Top | None:
        """Return the tensor that a file holds, None where none or several may be meant."""
        found = self._whole.get(name)
        if found is None and name.endswith(".npy"):
            found = _longest(self._ends, name.removesuffix(".npy"), "__")
        if found is None and (closed := CLOSED.fullmatch(name)):
            found = _longest(self._tensors, f"_{_mangled(closed['rest'])}", "_")
        return found[0] if found and len(found) == 1 else None


def _longest(known: Mapping[str, list[Top]], text: str, mark: str) -> list[Top] | None:
    """Return what is known by the longest end of a text that begins with a mark."""
    at = text.find(mark)
    while at >= 0:
        if found := known.get(text[at:]):
            return found
        at = text.find(mark, at + 1)
    return None


def is_dump(name: str) -> bool:
    """Return whether a file has a name as such tools make them."""
    return bool(TYPED.fullmatch(name) or DUMPED.fullmatch(name) or CLOSED.fullmatch(name))


def _mangled(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")
