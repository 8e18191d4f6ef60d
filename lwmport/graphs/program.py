"""A program: a jaxpr whose first inputs are weights that carry their checkpoint names."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lwmport import digest
from lwmport.graphs import atoms
from lwmport.graphs.known import Known
from lwmport.types import Signature


@dataclass(frozen=True, kw_only=True)
class Program:
    """One traced component, flat but for composites.

    ``closed`` is a ``jax.extend.core.ClosedJaxpr`` whose inputs are ``weight_names`` and then the signature's inputs;
    its outputs are the signature's outputs, in order. What is int64 in the signature is int32 in the program. ``sizes``
    is how JAX prints each dynamic size -> how the signature writes it. ``located`` holds the names that weights have in
    a checkpoint, where those are others.
    """

    component: str
    signature: Signature
    closed: Any
    weight_names: tuple[str, ...]
    sizes: Mapping[str, str] = field(default_factory=dict)
    located: Mapping[str, str] = field(default_factory=dict)

    @property
    def jaxpr(self) -> Any:
        """The open jaxpr: ``invars``, ``eqns``, ``outvars``."""
        return self.closed.jaxpr

    @property
    def input_vars(self) -> list[Any]:
        """The variables of the signature's inputs, in order."""
        return list(self.jaxpr.invars[len(self.weight_names) :])

    @cached_property
    def known(self) -> Known:
        """What can be computed at conversion."""
        weights = dict(zip(self.jaxpr.invars, self.weight_names, strict=False))
        return Known(weights, dict(zip(self.jaxpr.constvars, self.closed.consts, strict=True)), self.jaxpr)

    @cached_property
    def readers(self) -> dict[Any, list[Any]]:
        """The equations that read each variable; None stands for an output of the program."""
        return atoms.readers(self.jaxpr)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the printed program, its constants, its weight names, its inputs and its outputs.

        What is kept between runs, and what weights are called in a checkpoint, is left out: it changes no program, and
        digests from before it was told stay true.
        """
        text = re.sub(r"0x[0-9a-f]+", "0x", str(self.jaxpr))
        edges = f"Signature(inputs={self.signature.inputs!r}, outputs={self.signature.outputs!r})"
        return digest.of_json([self.component, text, self._constants(), list(self.weight_names), edges])

    def _constants(self) -> list[list[Any]]:
        """Return dtype, shape and digest of every constant array, for a printed program only names them."""
        arrays = [np.asarray(value) for value in self.closed.consts]
        return [[str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()] for array in arrays]

    def expand(self, keep: Callable[[Any], bool], decompose: Callable[[Any], Any] | None = None) -> "Program":
        """Return the program with every composite that ``keep(equation)`` refuses replaced.

        It becomes what ``decompose(equation)`` says, a ``ClosedJaxpr``; by default its own decomposition.
        """
        from lwmport.graphs.simplify import simplify

        wishes = (keep,) if decompose is None else (keep, decompose)
        return replace(self, closed=simplify(self.closed, *wishes))
