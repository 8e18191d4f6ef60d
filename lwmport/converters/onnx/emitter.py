"""The walk from a program to an ONNX graph, and what a rule may ask of it.

A value of the program can exist in several axis orders. ``order[i]`` is the logical (JAX) axis that physical axis i
holds: an NHWC array kept channels-first has order (0, 3, 1, 2). Rules ask for the order they need; a transpose is
made only when no value in that order exists, so that transposes end up at the edges of the model.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from lwmport.checkpoints.streaming import pieces_of
from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_name, is_literal, shape_of
from lwmport.graphs.program import Program
from lwmport.types import Array, Dim, Weights

Order: TypeAlias = tuple[int, ...]
Rule: TypeAlias = Callable[["Emitter", Any], None]

CHANNELS_FIRST: Final[Order] = (0, 3, 1, 2)
"""The order of a picture [batch, height, width, channels] kept as [batch, channels, height, width]."""


class Emitter:
    """Lowers one program: keeps which value of the graph stands for which variable, in which axis orders."""

    def __init__(
        self,
        program: Program,
        weights: Weights,
        opset: int,
        primitives: Mapping[str, Rule],
        composites: Mapping[str, Rule],
    ) -> None:
        self.program = program
        self.weights = weights
        self.graph = GraphBuilder(program.component, opset)
        self._primitives = primitives
        self._composites = composites
        self._values: dict[Any, dict[Order, ir.Value]] = {}
        self._constants: dict[tuple[Any, Order, tuple[int, ...]], ir.Value] = {}
        self._absorbed: set[int] = set()
        self._weights = dict(zip(program.jaxpr.invars, program.weight_names, strict=False))
        self.notes: dict[Any, Any] = {}
        """What one rule leaves for a later one: padding or upsampling that the next convolution takes in."""

    def run(self) -> tuple[list[ir.Value], list[ir.Value]]:
        """Return the inputs and outputs of the graph, in the order of the signature."""
        inputs = []
        for variable, spec in zip(self.program.input_vars, self.program.signature.inputs, strict=True):
            inputs.append(self.graph.input(spec))
            self.bind(variable, inputs[-1], identity(len(spec.shape)))
        for equation in self.program.jaxpr.eqns:
            if id(equation) not in self._absorbed and not all(out in self.program.known for out in equation.outvars):
                self._lower(equation)
        return inputs, self._outputs()

    def _lower(self, equation: Any) -> None:
        name = composite_name(equation)
        rule = self._composites.get(name) if name else self._primitives.get(equation.primitive.name)
        if rule is None:
            place = "/".join(part for part in (self.program.component, scope_of(equation)) if part)
            raise LoweringError(
                f"expected operations that ONNX opset {self.graph.opset} can express, found "
                f"{name or equation.primitive.name} in {place}; add a rule to lwmport/converters/onnx"
            )
        self.graph.scope = scope_of(equation)
        rule(self, equation)

    def _outputs(self) -> list[ir.Value]:
        self.graph.scope = ""
        found = []
        for atom, spec in zip(self.program.jaxpr.outvars, self.program.signature.outputs, strict=True):
            value = self.read(atom, identity(len(spec.shape)))
            if value.is_graph_output() or value.producer() is None or value in found:
                value = self.graph.node("Identity", [value], spec.shape, spec.dtype)
            found.append(value)
        for value, spec in zip(found, self.program.signature.outputs, strict=True):
            value.name = spec.name
        return found

    def is_known(self, atom: Any) -> bool:
        """Return whether an atom can be computed at conversion."""
        return atom in self.program.known

    def known_value(self, atom: Any) -> Array:
        """Return the value of a known atom now; for small ones whose value decides what is emitted."""
        return self.program.known.value(atom, self.weights)

    def scalar(self, atom: Any) -> float | None:
        """Return the value of a known atom with one element, and None for any other atom."""
        if not self.is_known(atom) or int(np.prod(atom.aval.shape)) != 1 or self.program.known.root(atom):
            return None
        return float(self.known_value(atom).item())

    def sole_reader(self, variable: Any) -> Any:
        """Return the one equation that reads a variable, and None if there are more or the program returns it."""
        found = self.program.readers[variable]
        return found[0] if len(found) == 1 else None

    def absorb(self, equation: Any) -> None:
        """Mark an equation as done by the rule at work."""
        self._absorbed.add(id(equation))

    def bind(self, variable: Any, value: ir.Value, order: Order) -> None:
        """Record that ``value`` is ``variable`` in an axis order."""
        self._values.setdefault(variable, {})[order] = value

    def order_of(self, atom: Any) -> Order:
        """Return the axis order in which an atom was made."""
        return next(iter(self._values[atom])) if self.is_runtime(atom) else identity(len(atom.aval.shape))

    def orders(self, atom: Any) -> list[Order]:
        """Return the axis orders in which a runtime atom exists, the one it was made in first."""
        return list(self._values[atom])

    def is_runtime(self, atom: Any) -> bool:
        """Return whether an atom is a value of the graph rather than a constant."""
        return not is_literal(atom) and atom in self._values

    def read(self, atom: Any, order: Order | None = None) -> ir.Value:
        """Return the value of an atom in an axis order (JAX's own by default), transposed only if it must be."""
        order = identity(len(atom.aval.shape)) if order is None else order
        if not self.is_runtime(atom):
            return self.constant(atom, order)
        variants = self._values[atom]
        if order not in variants:
            made, value = next(iter(variants.items()))
            attributes = {"perm": [made.index(axis) for axis in order]}
            shape = permuted(shape_of(atom), order)
            variants[order] = self.graph.node("Transpose", [value], shape, atom.aval.dtype, attributes)
        return variants[order]

    def constant(self, atom: Any, order: Order, shape: Sequence[int] | None = None) -> ir.Value:
        """Return a known atom as an initializer in an axis order, reshaped if asked, made once for all who ask."""
        target = tuple(shape) if shape is not None else permuted(atom.aval.shape, order)
        if is_literal(atom) or self.program.known.root(atom) is None:
            return self.graph.constant(self.known_value(atom).transpose(order).reshape(target))
        key = (atom, order, target)
        if key not in self._constants:
            weight = self._weights.get(atom, "")
            if weight in self.weights.specs and order == identity(len(order)):
                produce = lambda: self._pieces(weight, atom.aval.dtype)  # noqa: E731 - a promise, kept by the writer
                self._constants[key] = self.graph.initializer(weight, target, atom.aval.dtype, produce, weight)
            else:
                self._constants[key] = self.promise(atom, target, lambda array: array.transpose(order).reshape(target))
        return self._constants[key]

    def _pieces(self, weight: str, dtype: np.dtype[Any]) -> Iterator[Array]:
        """Yield the values of a weight that keeps its layout, so that it need not be in memory as a whole."""
        for piece in pieces_of(self.weights, weight):
            yield piece.astype(dtype, copy=False)

    def promise(
        self, atom: Any, shape: Sequence[int], transform: Callable[[Array], Array], suffix: str = ""
    ) -> ir.Value:
        """Return an initializer of the given shape: ``transform`` of a known atom, computed while writing."""
        source = self.program.known.root(atom)
        produce = lambda: transform(self.known_value(atom))  # noqa: E731 - a promise, kept by the writer
        return self.graph.initializer(f"{source}{suffix}", shape, atom.aval.dtype, produce, source)

    def emit(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        like: Any,
        order: Order | None = None,
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Append a node whose output has the shape and dtype of the variable ``like`` in an axis order."""
        shape = shape_of(like) if order is None else permuted(shape_of(like), order)
        return self.graph.node(op, inputs, shape, like.aval.dtype, attributes, domain)


def scope_of(equation: Any) -> str:
    """Return the module path of an equation, which is the prefix of its weights: ``decoder/MidBlock_0/Conv_0``."""
    return "/".join(part for part in str(equation.source_info.name_stack).split("/") if part.isidentifier())


def identity(rank: int) -> Order:
    """Return JAX's own axis order."""
    return tuple(range(rank))


def permuted(shape: Sequence[Any], order: Order) -> tuple[Any, ...]:
    """Return a logical shape in an axis order."""
    return tuple(shape[axis] for axis in order)


def reshape_target(shape: Sequence[Dim]) -> list[int]:
    """Return the shape operand of a Reshape, with -1 for the one dynamic size.

    Raises:
        LoweringError: more than one size is dynamic.
    """
    target = [dim if isinstance(dim, int) else -1 for dim in shape]
    if target.count(-1) > 1:
        raise LoweringError(f"expected at most one dynamic size in a reshape, found {list(shape)}; fix the batch")
    return target
