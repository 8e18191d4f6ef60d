"""The walk from a program to a TensorFlow graph, and what a rule may ask of it.

TensorFlow keeps JAX's axis order, so that every variable of the program is one tensor of the same shape.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, Protocol, TypeAlias

from lwmport.converters.saved_model.sizes import Sizes
from lwmport.converters.walk import Walk, path_of
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_name, is_literal, shape_of
from lwmport.graphs.program import Program
from lwmport.types import Array, Dim, Weights

Rule: TypeAlias = Callable[["Emitter", Any], None]

RESHAPES: Final = frozenset({"reshape", "squeeze", "broadcast_in_dim"})
VIEWS: Final = frozenset({*RESHAPES, "transpose"})
"""Primitives that show a weight in another shape. They become operators, so that variables keep the checkpoint's."""


class Store(Protocol):
    """Where weights live in the graph: variables of a SavedModel, or constants of a frozen graph."""

    def weight(self, name: str, shape: tuple[int, ...], dtype: str, produce: Callable[[], Array]) -> Any:
        """Return the tensor that reads a weight; ``produce`` returns its value, and may be called later."""


class Emitter(Walk["Emitter"]):
    """Lowers one program: keeps which tensor of the graph stands for which variable."""

    def __init__(
        self,
        tf: Any,
        program: Program,
        weights: Weights,
        store: Store,
        rules: tuple[Mapping[str, Rule], Mapping[str, Rule]],
    ) -> None:
        super().__init__(program, weights, *rules)
        self.tf = tf
        self.ops = tf.raw_ops
        self.sizes = Sizes(tf)
        self._store = store
        self._values: dict[Any, Any] = {}
        self._weight_names = dict(zip(program.jaxpr.invars, program.weight_names, strict=False))

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the tensors of the program's outputs, given those of its inputs; both in the signature's order."""
        for variable, value in zip(self.program.input_vars, inputs, strict=True):
            self.sizes.add_input(value, shape_of(variable))
            self.bind(variable, self.cast(value, str(variable.aval.dtype)))
        for equation in self.program.jaxpr.eqns:
            if not self.is_done(equation):
                self.lower(equation)
        pairs = zip(self.program.jaxpr.outvars, self.program.signature.outputs, strict=True)
        return [self.cast(self.read(atom), spec.dtype) for atom, spec in pairs]

    def lower(self, equation: Any) -> None:
        """Emit one equation.

        Raises:
            LoweringError: there is no rule for it, or TensorFlow refuses it.
        """
        rule = self.rule_for(equation, "plain TensorFlow operators", "add a rule to lwmport/converters/saved_model")
        scope = scope_of(equation)
        with self.tf.name_scope(f"{scope}/") if scope else nullcontext():
            try:
                rule(self, equation)
            except (TypeError, ValueError) as error:
                raise self._refusal(equation, scope, error) from error

    def _refusal(self, equation: Any, scope: str, error: Exception) -> LoweringError:
        """Return the error of an operation that TensorFlow has, but not for these types or shapes."""
        operands = ", ".join(f"{atom.aval.dtype}{list(shape_of(atom))}" for atom in equation.invars)
        return LoweringError(
            f"TensorFlow refused {composite_name(equation) or equation.primitive.name} of {operands} at {scope or '/'} "
            f"of {self.program.component}: {str(error).strip().splitlines()[0]}"
        )

    def bind(self, variable: Any, value: Any) -> None:
        """Record that ``value`` is ``variable``."""
        self._values[variable] = value

    def bind_only(self, equation: Any, value: Any) -> None:
        """Record that ``value`` is the one result of an equation."""
        (variable,) = equation.outvars
        self.bind(variable, value)

    def read(self, atom: Any) -> Any:
        """Return the tensor of an atom: computed before, a weight, or a constant."""
        if is_literal(atom) or (self.is_known(atom) and self.program.known.root(atom) is None):
            return self.constant(self.known_value(atom))
        if atom not in self._values:
            self._read_weight(atom)
        return self._values[atom]

    def _read_weight(self, atom: Any) -> None:
        """Bind a weight, a view of one, or what conversion computes from some."""
        name, producer = self._weight_names.get(atom), self._producers.get(atom)
        if name is None and producer is not None and producer.primitive.name in VIEWS:
            self.lower(producer)
            return
        if name is None and producer is not None:
            name = f"{self.program.known.root(atom)}_{producer.primitive.name}"
        dtype = str(atom.aval.dtype)
        self.bind(atom, self._store.weight(str(name), atom.aval.shape, dtype, lambda: self.known_value(atom)))

    def per_channel(self, atom: Any) -> Any:
        """Return the known vector [c] that an atom [1, ..., 1, c] is a mere reshape of, and None if there is none."""
        shape = atom.aval.shape
        if not shape or any(size != 1 for size in shape[:-1]) or not self.is_known(atom):
            return None
        while len(atom.aval.shape) != 1:
            equation = self.producer(atom)
            if equation is None or equation.primitive.name not in RESHAPES:
                return None
            atom = equation.invars[0]
        return atom if atom.aval.shape == shape[-1:] else None

    def constant(self, value: Any, dtype: str | None = None) -> Any:
        """Return a small constant tensor."""
        return self.tf.constant(value, dtype=dtype)

    def ints(self, values: Sequence[int]) -> Any:
        """Return an int32 vector: shapes, axes, positions."""
        return self.constant([int(value) for value in values], "int32")

    def cast(self, value: Any, dtype: str) -> Any:
        """Return a tensor in a dtype: int64 at the edges is int32 inside."""
        return value if value.dtype == self.tf.as_dtype(dtype) else self.ops.Cast(x=value, DstT=dtype)

    def reshape(self, value: Any, shape: Sequence[Dim]) -> Any:
        """Return a tensor in another shape; its sizes may be dynamic."""
        target = [size if isinstance(size, int) else -1 for size in shape]
        if target.count(-1) > 1:
            return self.ops.Reshape(tensor=value, shape=self.sizes.vector(shape))
        return self.ops.Reshape(tensor=value, shape=self.ints(target))


def scope_of(equation: Any) -> str:
    """Return the module path of an equation as a name that TensorFlow takes."""
    parts = filter(None, path_of(equation).split("/"))
    return "/".join(re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") or "scope" for part in parts)
