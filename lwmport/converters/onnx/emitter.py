"""The walk from a program to an ONNX graph, and what a rule may ask of it.

A value of the program can exist in several axis orders. ``order[i]`` is the logical (JAX) axis that physical axis i
holds: an NHWC array kept channels-first has order (0, 3, 1, 2). Rules ask for the order they need; a transpose is
made only when no value in that order exists, so that transposes end up at the edges of the model.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from lwmport.checkpoints.streaming import pieces_of
from lwmport.converters.onnx.bindings import Bindings, Order
from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.converters.onnx.sizes import Sizes
from lwmport.converters.walk import Walk
from lwmport.graphs.atoms import is_literal, readers, shape_of
from lwmport.graphs.program import Program
from lwmport.types import Array, Dim, Weights, dtype_of

Rule: TypeAlias = Callable[["Emitter", Any], None]

STORED: Final = 2**20
"""Bytes from which a constant that only repeats is made when the model runs: the zeros that a loop begins with."""

CHANNELS_FIRST: Final[Order] = (0, 3, 1, 2)
"""The order of a picture [batch, height, width, channels] kept as [batch, channels, height, width]."""


class Emitter(Walk["Emitter"]):
    """Lowers one program: keeps which value of the graph stands for which variable, in which axis orders."""

    def __init__(
        self,
        program: Program,
        weights: Weights,
        opset: int,
        primitives: Mapping[str, Rule],
        composites: Mapping[str, Rule],
    ) -> None:
        super().__init__(program, weights, primitives, composites)
        self.graph = GraphBuilder(program.component, opset)
        self.sizes = Sizes(self.graph)
        self._bindings = Bindings(program.readers)
        self._constants: dict[tuple[Any, Hashable, tuple[int, ...]], ir.Value] = {}
        self._absorbed: dict[int, Any] = {}
        self.codes: dict[Any, float] = {}
        """Variables that are bound to codes of 8 bits in place of values -> what a step of them stands for."""
        self._reshaped: dict[ir.Value, tuple[ir.Value, tuple[Dim, ...]]] = {}
        self._weights = dict(zip(program.jaxpr.invars, program.weight_names, strict=False))

    @property
    def notes(self) -> MutableMapping[Any, Any]:
        """What one rule leaves for a later one: padding or upsampling that the next convolution takes in."""
        return self._bindings.notes

    def run(self) -> tuple[list[ir.Value], list[ir.Value]]:
        """Return the inputs and outputs of the graph, in the order of the signature."""
        inputs = []
        for variable, spec in zip(self.program.input_vars, self.program.signature.inputs, strict=True):
            value = self.graph.input(spec)
            inputs.append(value)
            self.sizes.add_input(value, shape_of(variable))
            self.bind(
                variable, self.cast(value, spec.shape, spec.dtype, variable.aval.dtype), identity(len(spec.shape))
            )
        self.lower(self.program.jaxpr.eqns)
        outputs = self._outputs()
        self.graph.finish(outputs)
        return inputs, outputs

    def lower(self, equations: Sequence[Any]) -> None:
        """Emit what some equations compute, unless it is known or a rule has done it already."""
        for equation in equations:
            if id(equation) not in self._absorbed and not self.is_done(equation):
                self._lower(equation)

    def _lower(self, equation: Any) -> None:
        rule = self.rule_for(equation, f"ONNX opset {self.graph.opset}", "add a rule to lwmport/converters/onnx")
        self.graph.scope = scope_of(equation) or self.graph.scope
        rule(self, equation)

    def _outputs(self) -> list[ir.Value]:
        self.graph.scope = ""
        found: list[ir.Value] = []
        for atom, spec in zip(self.program.jaxpr.outvars, self.program.signature.outputs, strict=True):
            value = self.cast(self.read(atom), spec.shape, atom.aval.dtype, spec.dtype)
            found.append(self.own(value, spec.shape, spec.dtype, found))
        for value, spec in zip(found, self.program.signature.outputs, strict=True):
            value.name, value.shape = spec.name, ir.Shape(spec.shape)
        return found

    def own(self, value: ir.Value, shape: Sequence[Dim], dtype: Any, others: Sequence[ir.Value]) -> ir.Value:
        """Return a value that can be an output of the graph at work: made in it, and not an output already."""
        made = any(value in node.outputs for node in self.graph.nodes)
        return value if made and value not in others else self.graph.node("Identity", [value], shape, dtype)

    def cast(self, value: ir.Value, shape: Sequence[Dim], before: Any, after: Any) -> ir.Value:
        """Return a value in another dtype."""
        if np.dtype(before) == np.dtype(after):
            return value
        to = ir.DataType.from_numpy(np.dtype(after))
        return self.graph.node("Cast", [value], shape, after, {"to": int(to)})

    @contextmanager
    def nested(self, closed: Any, arguments: Sequence[ir.Value]) -> Iterator[None]:
        """Open a scope in which the variables of an inner program are bound: its inputs, and its constants."""
        jaxpr, scope = closed.jaxpr, self.graph.scope
        with self._bindings.nested(readers(jaxpr)):
            constants = [self.graph.constant(np.asarray(value)) for value in closed.consts]
            variables = [*jaxpr.constvars, *jaxpr.invars]
            for variable, value in zip(variables, [*constants, *arguments], strict=True):
                self.bind(variable, value, identity(len(variable.aval.shape)))
            yield
        self.graph.scope = scope

    @contextmanager
    def inner_scope(self) -> Iterator[None]:
        """Open a scope for a body whose values the graph around it cannot see."""
        with self._bindings.nested({}):
            yield

    def body(self, closed: Any, arguments: Sequence[ir.Value], inputs: Sequence[ir.Value] = ()) -> ir.Graph:
        """Return an inner program as the body of a loop or a branch; ``inputs`` are those of the body itself."""
        with self.graph.body() as nodes, self.nested(closed, arguments):
            self.lower(closed.jaxpr.eqns)
            outputs: list[ir.Value] = []
            for atom in closed.jaxpr.outvars:
                outputs.append(self.own(self.read(atom), shape_of(atom), atom.aval.dtype, outputs))
        return self.graph.subgraph(inputs, outputs, nodes)

    def readers(self, variable: Any) -> list[Any]:
        """Return the equations that read a variable; None stands for an output."""
        return self._bindings.readers(variable)

    def is_deferred(self, variable: Any) -> bool:
        """Return whether a variable is still to be emitted."""
        return self._bindings.is_deferred(variable)

    def rule_of(self, composite: str) -> Rule | None:
        """Return the rule of a composite in the dialect at work, and None if it is decomposed."""
        return self._composites.get(composite)

    def absorb(self, equation: Any) -> None:
        """Mark an equation as done by the rule at work."""
        self._absorbed[id(equation)] = equation

    def bind(self, variable: Any, value: ir.Value, order: Order) -> None:
        """Record that ``value`` is ``variable`` in an axis order."""
        self._bindings.bind(variable, value, order)

    def defer(self, variable: Any, make: Callable[[], tuple[ir.Value, Order]]) -> None:
        """Emit a variable only when it is read: ``make`` returns its value and in which axis order that is."""
        scope = self.graph.scope

        def bind() -> None:
            current, self.graph.scope = self.graph.scope, scope
            self.bind(variable, *make())
            self.graph.scope = current

        self._bindings.defer(variable, bind)

    def order_of(self, atom: Any) -> Order:
        """Return the axis order in which an atom was made."""
        return self.orders(atom)[0] if self.is_runtime(atom) else identity(len(atom.aval.shape))

    def orders(self, atom: Any) -> list[Order]:
        """Return the axis orders in which a runtime atom exists, the one it was made in first."""
        return list(self._bindings.values(atom))

    def is_runtime(self, atom: Any) -> bool:
        """Return whether an atom is a value of the graph rather than a constant."""
        return not is_literal(atom) and atom in self._bindings

    def read(self, atom: Any, order: Order | None = None) -> ir.Value:
        """Return the value of an atom in an axis order (JAX's own by default), transposed only if it must be."""
        order = identity(len(atom.aval.shape)) if order is None else order
        if not self.is_runtime(atom):
            return self._repeated(atom, order) or self.constant(atom, order)
        variants = self._bindings.values(atom)
        if order not in variants:
            made, value = next(iter(variants.items()))
            self.bind(atom, self._transposed(value, made, order, atom), order)
        return self._bindings.values(atom)[order]

    def _transposed(self, value: ir.Value, made: Order, order: Order, atom: Any) -> ir.Value:
        """Return a value in another order: by Reshape, where only axes of size 1 change their places."""
        shape = permuted(shape_of(atom), order)
        if [axis for axis in made if atom.aval.shape[axis] != 1] == [
            axis for axis in order if atom.aval.shape[axis] != 1
        ]:
            return self.reshaped(value, permuted(shape_of(atom), made), shape, atom.aval.dtype)
        attributes = {"perm": [made.index(axis) for axis in order]}
        return self.graph.node("Transpose", [value], shape, atom.aval.dtype, attributes)

    def reshaped(self, value: ir.Value, old: Sequence[Dim], new: Sequence[Dim], dtype: Any) -> ir.Value:
        """Return a value in another shape: 0 keeps a dynamic size, -1 stands for one, more than that are computed."""
        value, old = self._reshaped.get(value, (value, tuple(old)))
        if old == tuple(new):
            return value
        target: list[Dim] = list(new)
        for axis, dim in enumerate(new):
            if isinstance(dim, str) and axis < len(old) and old[axis] == dim:
                target[axis] = 0
        left = [axis for axis, dim in enumerate(target) if isinstance(dim, str)]
        if len(left) == 1:
            target[left[0]] = -1
        made = self.graph.node("Reshape", [value, self.sizes.vector(target)], new, dtype)
        self._reshaped[made] = value, old
        return made

    def condensed(self, atom: Any) -> Array:
        """Return a constant that comes from no weight, with size 1 on the axes over which it only repeats."""
        value = self.known_value(atom)
        return value[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in value.strides)]

    def _repeated(self, atom: Any, order: Order) -> ir.Value | None:
        """Return a large constant that only repeats as what the graph makes of a small one, else None."""
        if is_literal(atom) or atom.aval.size * atom.aval.dtype.itemsize < STORED or self.program.known.root(atom):
            return None
        small = self.condensed(atom).transpose(order)
        shape = permuted(atom.aval.shape, order)
        if small.shape == shape:
            return None
        target = self.graph.constant(np.asarray(shape, np.int64))
        return self.graph.node("Expand", [self.graph.constant(small), target], shape, atom.aval.dtype)

    def constant(self, atom: Any, order: Order, shape: Sequence[int] | None = None) -> ir.Value:
        """Return a known atom as an initializer in an axis order, reshaped if asked, made once for all who ask."""
        target = tuple(shape) if shape is not None else permuted(atom.aval.shape, order)
        if is_literal(atom) or self.program.known.root(atom) is None:
            return self.graph.constant(self.known_value(atom).transpose(order).reshape(target))
        return self.cast(self.stored(atom, order, target), target, self.stored_dtype(atom), atom.aval.dtype)

    def stored(self, atom: Any, order: Order, target: tuple[int, ...]) -> ir.Value:
        """Return the initializer of a known atom that comes from a weight, in `stored_dtype`, made once."""
        key = (atom, order, target)
        if key not in self._constants:
            weight, dtype = self._weights.get(atom, ""), self.stored_dtype(atom)
            form = (self.program.located.get(weight, weight), dtype.name, order) if weight else None
            if weight in self.weights.specs and order == identity(len(order)):
                produce = lambda: self._pieces(weight, dtype)  # noqa: E731 - a promise, kept by the writer
                self._constants[key] = self.graph.initializer(weight, target, dtype, produce, weight, form)
            else:
                turned = lambda array: array.transpose(order).reshape(target)  # noqa: E731 - as above
                self._constants[key] = self.promise(atom, target, turned, form=form)
        return self._constants[key]

    def stored_dtype(self, atom: Any) -> np.dtype[Any]:
        """Return the dtype in which the initializer of a known atom has its values."""
        name = self.packed_name(atom)
        return dtype_of(self.packed.specs[name].dtype) if name else atom.aval.dtype

    def _pieces(self, weight: str, dtype: np.dtype[Any]) -> Iterator[Array]:
        """Yield the values of a weight that keeps its layout, so that it need not be in memory as a whole."""
        for piece in pieces_of(self.packed if weight in self.packed.specs else self.weights, weight):
            yield piece.astype(dtype, copy=False)

    def part(
        self,
        weight: str,
        suffix: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        produce: Callable[[], Array | Iterator[Array]],
        form: Hashable,
    ) -> ir.Value:
        """Return a constant that is made of a weight, once for all who ask for the same ``form`` and shape of it."""
        key = (weight, form, tuple(shape))
        if key not in self._constants:
            whole = (self.program.located.get(weight, weight), dtype.name, form)
            self._constants[key] = self.graph.initializer(f"{weight}{suffix}", shape, dtype, produce, weight, whole)
        return self._constants[key]

    def readers_of(self, weight: str) -> list[Any]:
        """Return the equations that read a weight; None stands for an output."""
        return [each for variable, name in self._weights.items() if name == weight for each in self.readers(variable)]

    def promise(
        self,
        atom: Any,
        shape: Sequence[int],
        transform: Callable[[Array], Array],
        suffix: str = "",
        form: Hashable = None,
    ) -> ir.Value:
        """Return an initializer of the given shape: ``transform`` of a known atom, computed while writing.

        It has the atom's `stored_dtype`: a transform of a weight that is stored in another form only moves elements.
        """
        known, source = self.program.known, self.program.known.root(atom)
        value = partial(known.packed, atom, self.packed) if self.packed_name(atom) else partial(self.known_value, atom)
        produce = lambda: transform(value())  # noqa: E731 - a promise, kept by the writer
        return self.graph.initializer(f"{source}{suffix}", shape, self.stored_dtype(atom), produce, source, form)

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
