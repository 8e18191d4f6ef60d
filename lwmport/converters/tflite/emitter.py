"""The walk from a program to a TFLite graph, and what a rule may ask of it.

JAX and TFLite agree on channels-last, so every variable is one tensor in JAX's own axis order. The one liberty is
broadcasting: JAX spells it out, TFLite's operators do it themselves. A variable may therefore be *thin*: bound to a
tensor with size 1 where the variable repeats itself. Elementwise rules take thin operands; `Emitter.read` spreads them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.converters.tflite.graph import GraphBuilder, Tensor
from lwmport.converters.tflite.half import HALF, LAYOUTS, computed
from lwmport.converters.tflite.sizes import reshape_target, shape_signature, static_shape
from lwmport.converters.walk import Walk, path_of
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import is_literal, shape_of
from lwmport.graphs.program import Program
from lwmport.types import Array, Dim, Weights

Rule: TypeAlias = Callable[["Emitter", Any], None]


_ADVICE: Final = dict.fromkeys(
    ("scan", "while", "cond"), "choose static lengths and unrolled attention, which have no loops or branches"
)
"""What to do about primitives that no rule will come for."""


class Emitter(Walk["Emitter"]):
    """Lowers one program: keeps which tensor of the graph stands for which variable."""

    def __init__(
        self, program: Program, weights: Weights, primitives: Mapping[str, Rule], composites: Mapping[str, Rule]
    ) -> None:
        super().__init__(program, weights, primitives, composites)
        self.graph = GraphBuilder(program.component)
        self._tensors: dict[Any, Tensor] = {}
        self._wide: dict[Tensor, Tensor] = {}
        self._stored: dict[Tensor, Tensor] = {}
        self._absorbed: set[int] = set()
        self.notes: dict[Any, Any] = {}
        """What one rule leaves for a later one: padding or upsampling that the next convolution takes in."""

    def run(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the inputs and outputs of the graph, in the order of the signature."""
        inputs = []
        for variable, spec in zip(self.program.input_vars, self.program.signature.inputs, strict=True):
            inputs.append(self.graph.tensor(spec.name, spec.shape, spec.dtype))
            self._tensors[variable] = self.cast(inputs[-1], computed(variable.aval.dtype))
        for equation in self.program.jaxpr.eqns:
            if id(equation) not in self._absorbed and not self.is_done(equation):
                self._lower(equation)
        outputs = self._outputs(inputs)
        self.graph.drop_unread(outputs)
        return inputs, outputs

    def _lower(self, equation: Any) -> None:
        advice = _ADVICE.get(equation.primitive.name, "add a rule to lwmport/converters/tflite")
        rule = self.rule_for(equation, "TFLite", advice)
        self.graph.scope = path_of(equation)
        rule(self, equation)

    def _outputs(self, inputs: list[Tensor]) -> list[Tensor]:
        self.graph.scope = ""
        found: list[Tensor] = []
        for atom, spec in zip(self.program.jaxpr.outvars, self.program.signature.outputs, strict=True):
            tensor = self.cast(self.read(atom), spec.dtype)
            if tensor in inputs or tensor in found or tensor.produce is not None:
                tensor = self.reshape(tensor, spec.shape)  # TFLite has no IDENTITY
            found.append(tensor)
        return found

    def absorb(self, equation: Any) -> None:
        """Mark an equation as done by the rule at work."""
        self._absorbed.add(id(equation))

    def bind(self, variable: Any, tensor: Tensor) -> None:
        """Record that ``tensor``, possibly thin, is ``variable``."""
        self._tensors[variable] = tensor

    def read(self, atom: Any) -> Tensor:
        """Return an atom as a tensor of its whole shape."""
        tensor = self.thin(atom)
        if tensor.shape == shape_of(atom):
            return tensor
        self._tensors[atom] = self._spread(tensor, shape_of(atom))
        return self._tensors[atom]

    def narrow(self, atom: Any) -> Tensor:
        """Return an atom as a tensor of its whole shape, a float16 constant as it is stored; for a table of rows."""
        tensor = self.read(atom)
        return self._stored.get(tensor, tensor)

    def thin(self, atom: Any) -> Tensor:
        """Return an atom as a tensor that may have size 1 where the atom repeats itself; its rank is the atom's."""
        if not is_literal(atom) and atom in self._tensors:
            return self._tensors[atom]
        equation = self.producer(atom)
        if equation is not None and equation.primitive.name == "broadcast_in_dim":
            return self.constant(equation.invars[0], self._unspread(equation))
        return self.constant(atom, atom.aval.shape)

    def constant(
        self, atom: Any, shape: Sequence[int], transform: Callable[[Array], Array] = lambda array: array, kind: str = ""
    ) -> Tensor:
        """Return ``transform`` of a known atom, of the given shape, computed while writing and made once.

        ``kind`` names the transform, to tell apart those of one atom.
        """
        atom, source = self.unconverted(atom), self.program.known.root(atom)
        if source is None:
            return self.graph.constant(_shaped(transform(self.known_value(atom)), shape))
        half, key = self._is_half(atom, shape), (atom, tuple(shape), kind)
        dtype = HALF if half else computed(atom.aval.dtype)
        name = f"{source}/{kind}" if kind else source

        def produce() -> Array:
            value = self._value(atom)
            return _shaped(transform(value if half else value.astype(dtype, copy=False)), shape).astype(
                dtype, copy=False
            )

        found = self.graph.shared(key, name, shape, dtype, produce, source)
        return self.widened(found) if half else found

    def _value(self, atom: Any) -> Array:
        """Return the value of a known atom, of a weight that is stored in another form in that."""
        if self.packed_name(atom):
            return self.program.known.packed(atom, self.packed)
        return self.known_value(atom)

    def unconverted(self, atom: Any) -> Any:
        """Return the float16 atom that an atom is in float32, or else the atom itself."""
        equation = self.producer(atom)
        if equation is None or equation.primitive.name != "convert_element_type":
            return atom
        (source,) = equation.invars
        return source if str(source.aval.dtype) == HALF and str(atom.aval.dtype) == "float32" else atom

    def _is_half(self, atom: Any, shape: Sequence[int]) -> bool:
        """Return whether a known atom in a shape is a matrix of float16 in the values that are stored of a weight."""
        size = prod(atom.aval.shape)
        if prod(shape) != size or sum(extent > 1 for extent in shape) < 2:
            return False
        if name := self.packed_name(atom):
            return self.packed.specs[name].dtype == HALF
        while (equation := self.producer(atom)) is not None:
            if equation.primitive.name not in LAYOUTS:
                return False
            atom = equation.invars[0]
        return not is_literal(atom) and str(atom.aval.dtype) == HALF and prod(atom.aval.shape) == size

    def widened(self, constant: Tensor) -> Tensor:
        """Return a constant of float16 or of int8 in float32, by one DEQUANTIZE for all who read it."""
        if constant not in self._wide:
            self._wide[constant] = self.graph.operation("DEQUANTIZE", [constant], constant.shape, np.float32)
            self._stored[self._wide[constant]] = constant
        return self._wide[constant]

    def vector(self, atom: Any, size: int) -> Tensor:
        """Return a known atom of ``size`` different elements as a vector, whatever axes of size 1 or repeats it has."""
        equation = self.producer(atom)
        while equation is not None and equation.primitive.name in {"broadcast_in_dim", "reshape"}:
            if np.prod(equation.invars[0].aval.shape) != size:
                break
            atom = equation.invars[0]
            equation = self.producer(atom)
        return self.constant(atom, (size,))

    def emit(
        self, op: str, inputs: Sequence[Tensor | None], like: Any, options: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Append an operator whose output has the shape and dtype of the variable ``like``."""
        return self.graph.operation(op, inputs, shape_of(like), like.aval.dtype, options)

    def reshape(self, tensor: Tensor, shape: Sequence[Dim]) -> Tensor:
        """Append RESHAPE."""
        target = reshape_target(shape)
        operands = [tensor, self.graph.integers(target)]
        return self.graph.operation("RESHAPE", operands, shape, tensor.dtype, {"newShape": target})

    def cast(self, tensor: Tensor, dtype: Any) -> Tensor:
        """Append CAST, or nothing if the dtype is that already: int64 at the edges is int32 inside, float16 float32."""
        if tensor.dtype == np.dtype(dtype).name:
            return tensor
        return self.graph.operation("CAST", [tensor], tensor.shape, dtype)

    def transpose(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        """Append TRANSPOSE, RESHAPE if only axes of size 1 move, or nothing if the order is JAX's own already."""
        if list(order) == list(range(len(order))):
            return tensor
        shape = [tensor.shape[axis] for axis in order]
        long = [axis for axis in order if tensor.shape[axis] != 1]
        if long == sorted(long):
            return self.reshape(tensor, shape)
        return self.graph.operation("TRANSPOSE", [tensor, self.graph.integers(order)], shape, tensor.dtype)

    def _unspread(self, equation: Any) -> tuple[int, ...]:
        """Return the shape of a broadcast's result with size 1 on every axis that it adds or repeats."""
        sizes = dict(zip(equation.params["broadcast_dimensions"], equation.invars[0].aval.shape, strict=True))
        return tuple(sizes.get(axis, 1) for axis in range(len(equation.params["shape"])))

    def _spread(self, tensor: Tensor, shape: Sequence[Dim]) -> Tensor:
        if shape_signature(shape):
            raise LoweringError(
                f"expected static sizes to broadcast to, found {list(shape)} in {self.program.component}: BROADCAST_TO "
                "reads its shape from a constant; fix the batch"
            )
        operands = [tensor, self.graph.integers(static_shape(shape))]
        return self.graph.operation("BROADCAST_TO", operands, shape, tensor.dtype)


def _shaped(array: Array, shape: Sequence[int]) -> Array:
    """Return an array in a shape; one of another size stays as it is, for the writer to refuse by name."""
    return array.reshape(shape) if array.size == np.prod(shape) else array
