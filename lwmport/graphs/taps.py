"""Taps: names for the values inside a program, the same in the reference and in every format and dialect.

They are found in the program as JAX traces it, before anything is simplified, from two things that every model has:
the modules that its equations were written in, and its composites.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from lwmport.graphs import atoms
from lwmport.models.module_paths import Path, module_of, module_paths
from lwmport.types import TAPS

LAYERS, COMPOSITES = TAPS
VIEWS: Final = frozenset({"broadcast_in_dim", "convert_element_type", "copy", "reshape", "squeeze"})
"""Primitives behind which a value is still the same one."""


def find_taps(closed: Any, weights: Mapping[Any, str], kind: str, taken: Collection[str]) -> dict[str, Any]:
    """Return the name of each tap -> its variable, in the order of computation.

    A layer is a module that holds other modules, or lies beside one that does; its tap, called by its path, is what it
    returns: the last value computed in it that is read outside of it. Where two layers return one value, the inner one
    names it. ``composites`` are besides that the first outputs of all composites, called by the path of their module,
    their own name and, from the second of that name on, a number: ``transformer/h/0/attention/rotary_embedding_1``.
    What the program returns as a composite made it is left out, for it is an output already.

    Args:
        closed: a ``ClosedJaxpr`` without calls (`lwmport.graphs.inline`).
        weights: those of its inputs that are weights -> their names.
        kind: one of `lwmport.types.TAPS`.
        taken: names that no tap may have.
    """
    search = _Search(closed.jaxpr, weights)
    found: dict[str, Any] = {}
    for variable, label in (*search.layers(), *(search.composites() if kind == COMPOSITES else ())):
        if variable not in found.values():
            found[_free(label, {*taken, *found})] = variable
    return dict(sorted(found.items(), key=lambda item: search.order[item[1]]))


def tapped(closed: Any, variables: Collection[Any]) -> Any:
    """Return a ``ClosedJaxpr`` that returns some of its variables behind its own outputs."""
    jaxpr = closed.jaxpr
    outputs = [*jaxpr.outvars, *variables]
    return closed.replace(jaxpr=jaxpr.replace(outvars=outputs, debug_info=jaxpr.debug_info.with_unknown_names()))


class _Search:
    """One jaxpr: where its equations were written, who reads what, and which variables can be tapped."""

    def __init__(self, jaxpr: Any, weights: Mapping[Any, str]) -> None:
        self._jaxpr = jaxpr
        self._weights = weights
        self._readers = atoms.readers(jaxpr)
        paths = module_paths(jaxpr.eqns, weights.values())
        self._paths = {id(equation): self._path(equation, paths[id(equation)]) for equation in jaxpr.eqns}
        self.order = {variable: i for i, variable in enumerate(self._tappable())}

    def layers(self) -> Iterator[tuple[Any, str]]:
        """Yield the tap and the name of each layer, an outer one behind those in it."""
        returned: dict[Path, Any] = {}
        for equation in self._jaxpr.eqns:
            for variable in filter(self.order.__contains__, equation.outvars):
                returned.update((module, variable) for module in self._left(equation, variable))
        holders = {module[:-1] for module in self._modules()}
        beside = {holder[:-1] for holder in holders if holder}
        for module in sorted(returned, key=len, reverse=True):
            if module in holders or module[:-1] in beside:
                yield returned[module], "/".join(module)

    def composites(self) -> Iterator[tuple[Any, str]]:
        """Yield the tap and the name of each composite."""
        seen: Counter[str] = Counter()
        returned = self._returned()
        for equation in self._jaxpr.eqns:
            name = atoms.composite_name(equation)
            if name is None:
                continue
            label = "/".join([*self._paths[id(equation)], name.rpartition(".")[2]])
            seen[label] += 1
            variable = equation.outvars[0]
            if variable in self.order and variable not in returned:
                yield variable, label if seen[label] == 1 else f"{label}_{seen[label] - 1}"

    def _path(self, equation: Any, path: Path) -> Path:
        """Return the path of an equation; a composite is in the module whose weight it takes, if that is further in."""
        if atoms.composite_name(equation):
            for atom in equation.invars:
                module = () if atoms.is_literal(atom) else module_of(self._weights.get(atom, ""))
                if module[: len(path)] == path and len(module) > len(path):
                    return module
        return path

    def _modules(self) -> set[Path]:
        return {path[:length] for path in self._paths.values() for length in range(1, len(path) + 1)}

    def _left(self, equation: Any, variable: Any) -> Iterator[Path]:
        """Yield the modules that a variable leaves: computed inside, read outside or returned by the program."""
        path = self._paths[id(equation)]
        readers = [None if reader is None else self._paths[id(reader)] for reader in self._readers[variable]]
        for length in range(1, len(path) + 1):
            if any(reader is None or reader[:length] != path[:length] for reader in readers):
                yield path[:length]

    def _tappable(self) -> Iterator[Any]:
        """Yield the numbers, but no truth values, that depend on an input and that somebody reads, in order."""
        depends = {variable for variable in self._jaxpr.invars if variable not in self._weights}
        for equation in self._jaxpr.eqns:
            if any(not atoms.is_literal(atom) and atom in depends for atom in equation.invars):
                depends.update(equation.outvars)
                yield from (out for out in equation.outvars if out in self._readers and out.aval.dtype != bool)

    def _returned(self) -> set[Any]:
        """Return the variables that the program returns, also in another shape or dtype."""
        found = {atom for atom in self._jaxpr.outvars if not atoms.is_literal(atom)}
        for equation in reversed(self._jaxpr.eqns):
            if equation.primitive.name in VIEWS and found.intersection(equation.outvars):
                found.update(atom for atom in equation.invars if not atoms.is_literal(atom))
        return found


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing else has."""
    while name in taken:
        name += "_tap"
    return name
