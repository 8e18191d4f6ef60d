"""A component as a structure: its program is traced with abstract weights, so that its size costs nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lwmport.graphs.atoms import is_literal
from lwmport.graphs.cost import EquationCost, cost_of, name_of
from lwmport.graphs.program import Program
from lwmport.graphs.trace import BATCH, trace
from lwmport.models.families import resolve
from lwmport.models.module_paths import module_of, module_paths
from lwmport.models.options import Options
from lwmport.pipeline.compare.kinds import kind_of
from lwmport.pipeline.compare.sizes import chosen_sizes
from lwmport.pipeline.compare.structure import Cost, Operator, Parameter, Structure, bounded
from lwmport.reports.comparison.facts import Tensor
from lwmport.types import Component, Dim, Signature, TensorSpec, size_of

JAX: Final = "JAX"


def read_component(
    name: str, config: str | Mapping[str, Any], options: Options, sizes: Mapping[str, int]
) -> dict[str, Structure]:
    """Return the components that a name stands for, by name; dynamic sizes are those given, or the usual ones.

    Raises:
        PortError: there is no such component, or not with these options.
    """
    return {part.name: _read(part, sizes) for part in resolve(name, config, options).components}


def _read(component: Component, asked: Mapping[str, int]) -> Structure:
    sizes = chosen_sizes(component.signature, asked)
    fixed = replace(component, signature=_fixed(component.signature, sizes))
    program = trace(fixed, batch=sizes.get(BATCH, 1))
    paths = module_paths(program.jaxpr.eqns, program.weight_names)
    costs = [cost_of(equation) for equation in program.jaxpr.eqns]
    operators = tuple(
        _operator(equation, paths[id(equation)], cost) for equation, cost in zip(program.jaxpr.eqns, costs, strict=True)
    )
    loops = sum(cost.open_loops for cost in costs)
    told = f"{loops} loops of unknown length: one round of each is counted" if loops else ""
    return Structure(
        kind=f"a component in JAX, of {component.family}",
        vocabulary=JAX,
        parameters=tuple(_parameter(name, spec) for name, spec in component.weights.items()),
        operators=tuple(_nearer(operators, program)),
        inputs=tuple(_tensor(spec, sizes) for spec in component.signature.inputs),
        outputs=tuple(_tensor(spec, sizes) for spec in component.signature.outputs),
        reads=tuple(program.input_vars),
        makes=tuple(atom for atom in program.jaxpr.outvars),
        sizes=sizes,
        notes=(told,) if told else (),
    )


def _operator(equation: Any, path: tuple[str, ...], cost: EquationCost) -> Operator:
    name = name_of(equation)
    kinds = Counter(kind_of(JAX, inner) for inner, count in cost.inside.items() for _ in range(count))
    return Operator(
        name=name,
        path=bounded(path),
        cost=Cost(kinds=kinds or {kind_of(JAX, name): 1}, flop=cost.flop, main=cost.main, bytes=cost.bytes),
        inputs=tuple(atom for atom in equation.invars if not is_literal(atom)),
        outputs=tuple(equation.outvars),
        inside=cost.inside,
    )


def _nearer(operators: tuple[Operator, ...], program: Program) -> Iterator[Operator]:
    """Yield the operators; one that reads a weight of a module within its own is of that module.

    An inner layer without a name of its own on the stack (a matrix that its owner multiplies by) is told by its weight.
    """
    owners = dict(zip(program.jaxpr.invars, map(module_of, program.weight_names), strict=False))
    for operator in operators:
        found = [owners[value] for value in operator.inputs if value in owners]
        inner = [path for path in found if path[: len(operator.path)] == operator.path]
        yield replace(operator, path=bounded(inner[0])) if len(inner) == 1 else operator


def _parameter(name: str, spec: Any) -> Parameter:
    tensor = Tensor(name=name.rpartition("/")[2], shape=spec.shape, dtype=spec.dtype)
    return Parameter(path=bounded(module_of(name)), full=name, tensor=tensor)


def _tensor(spec: TensorSpec, sizes: Mapping[str, int]) -> Tensor:
    """Return an input or an output; its batch is a number, for every conversion settles it."""
    shape = tuple(sizes[BATCH] if dim == BATCH else dim for dim in spec.shape)
    return Tensor(name=spec.name, shape=shape, dtype=spec.dtype)


def _fixed(signature: Signature, sizes: Mapping[str, int]) -> Signature:
    def fill(spec: TensorSpec) -> TensorSpec:
        shape: tuple[Dim, ...] = tuple(size_of(dim, sizes) for dim in spec.shape)
        return replace(spec, shape=shape)

    return replace(signature, inputs=tuple(map(fill, signature.inputs)), outputs=tuple(map(fill, signature.outputs)))
