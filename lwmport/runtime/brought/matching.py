"""Which tensor of a model a brought one is: by its name, by what a tool makes of the name, or by its position.

Tools write ``_`` for characters that no file may have, so that two names can become one. What fits two tensors then is
matched with neither: a wrong pair would accuse a right operator.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.wording import few, shown

OTHER: Final = re.compile(r"[^A-Za-z0-9]")
UNSAFE: Final = re.compile(r"/|:(?!\d+$)")
"""What every tool that changes names changes: no file is called so. A number behind the name is often our own."""

Nodes = Mapping[tuple[str, int], str]
"""(name of a node, number of its output) -> name of the tensor."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Tensor of the model -> what was brought, and why other ones were left out, one sentence each."""

    tensors: Mapping[str, BroughtTensor]
    notes: tuple[str, ...] = ()


def matches(
    brought: Brought,
    names: Collection[str],
    *,
    outputs: Sequence[str] = (),
    nodes: Nodes | None = None,
    sample: int = 0,
) -> Matches:
    """Return what was brought of one run, by the names of a model's tensors. Inputs of nodes are left out.

    Args:
        brought: what a device computed.
        names: the tensors that are looked for.
        outputs: the model's outputs in its order, for tools that tell positions alone.
        nodes: the outputs of its nodes, for tools that name nodes; of all of them, for a name that fits a tensor which
            is not looked for is that tensor's.
        sample: which run.
    """
    spelled = any(UNSAFE.search(name) for tensor in brought.tensors for name in tensor.names)
    search = _Search(names, outputs, nodes or {}, spelled=spelled)
    for tensor in brought.tensors:
        if tensor.sample == sample and tensor.role != "input":
            search.add(tensor)
    return search.result()


@dataclass
class _Names:
    """Names, and what tools make of them -> tensors of the model. A tool that has ``spelled`` names changed none."""

    spelled: bool
    exact: dict[str, str] = field(default_factory=dict)
    mangled: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, name: str, tensor: str) -> None:
        self.exact[name] = tensor
        self.mangled[_mangled(name)].add(tensor)

    def found(self, forms: Sequence[str]) -> set[str]:
        """Return the tensors that the first form with any has: one, or several that cannot be told apart."""
        for form in forms:
            if form in self.exact and (self.spelled or UNSAFE.search(form) or len(self.mangled[_mangled(form)]) == 1):
                return {self.exact[form]}
        return next((found for form in forms if (found := self.mangled.get(_mangled(form)))), set())


class _Search:
    def __init__(self, names: Collection[str], outputs: Sequence[str], nodes: Nodes, *, spelled: bool) -> None:
        self._wanted = set(names)
        self._outputs = outputs
        self._tensors = _Names(spelled)
        self._nodes: defaultdict[int, _Names] = defaultdict(lambda: _Names(spelled))
        for name in {*names, *outputs, *nodes.values()}:
            self._tensors.add(name, name)
        for (node, index), tensor in nodes.items():
            self._nodes[index].add(node, tensor)
        self._found: defaultdict[str, list[BroughtTensor]] = defaultdict(list)
        self._vague: list[str] = []
        self._strange: list[str] = []

    def add(self, tensor: BroughtTensor) -> None:
        found = self._of(tensor)
        told = shown(tensor.names[0] if tensor.names else f"output {tensor.index}")
        if len(found) > 1:
            self._vague.append(f"{told} ({few(map(shown, sorted(found)), 2)})")
        elif not found:
            self._strange.append(told)
        elif (name := next(iter(found))) in self._wanted:
            self._found[name].append(tensor)

    def _of(self, tensor: BroughtTensor) -> set[str]:
        if not tensor.names:
            return set(self._outputs[tensor.index : tensor.index + 1])
        if tensor.role == "tensor":
            return self._tensors.found(tensor.names) or self._nodes[0].found(tensor.names)
        numbered = [f"{name}:{tensor.index}" for name in tensor.names]
        return self._nodes[tensor.index].found(tensor.names) or self._tensors.found(
            [*numbered, *(tensor.names if not tensor.index else ())]
        )

    def result(self) -> Matches:
        chosen: dict[str, BroughtTensor] = {}
        twice: list[str] = []
        for name, several in self._found.items():
            best = _best(name, several)
            if best is None:
                twice.append(f"{shown(name)} ({few((tensor.source for tensor in several), 2)})")
            else:
                chosen[name] = best
        notes = [
            f"{len(those):,} {'is' if len(those) == 1 else 'are'} left aside, {why}: {few(those)}"
            for those, why in (
                (self._vague, "for the name fits several tensors of the model"),
                (twice, "for several files fit one tensor of the model"),
                (self._strange, "for the model has no tensor of that name"),
            )
            if those
        ]
        return Matches(tensors=chosen, notes=tuple(notes))


def _best(name: str, several: Sequence[BroughtTensor]) -> BroughtTensor | None:
    """Return the one that has the very name, or the only one with values, or the only one."""
    for chosen in (
        [tensor for tensor in several if name in _forms(tensor)],
        [tensor for tensor in several if tensor.load],
        several,
    ):
        if len(chosen) == 1:
            return chosen[0]
    return None


def _forms(tensor: BroughtTensor) -> Iterable[str]:
    return [*tensor.names, *(f"{name}:{tensor.index}" for name in tensor.names)]


def _mangled(name: str) -> str:
    """Return what is left of a name in every tool's spelling: a leading slash becomes ``_``, or nothing."""
    return OTHER.sub("_", name).strip("_")
