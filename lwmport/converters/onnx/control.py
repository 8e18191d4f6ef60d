"""Rules for loops and branches: a scan becomes Scan, a choice between two If."""

from typing import Any, Final

import numpy as np

from lwmport.converters.onnx.emitter import Emitter, Rule, identity
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def scan(e: Emitter, equation: Any) -> None:
    """Emit Scan: what is carried, then a row of every array a time. Constants are read from around the body."""
    params = equation.params
    constants, carried = params["num_consts"], params["num_carry"]
    values = [e.read(atom) for atom in equation.invars]
    inner = params["jaxpr"].jaxpr.invars[constants:]
    inputs = [e.graph.value(e.graph.unique("held"), shape_of(variable), variable.aval.dtype) for variable in inner]
    body = e.body(params["jaxpr"], [*values[:constants], *inputs], inputs)
    rows, made = len(inner) - carried, len(equation.outvars) - carried
    attributes: dict[str, Any] = {"body": body, "num_scan_inputs": rows}
    if not rows:
        raise LoweringError("expected a loop over the rows of an array, found one that only counts")
    if params["reverse"]:
        attributes |= {"scan_input_directions": [1] * rows, "scan_output_directions": [1] * made}
    results = [(shape_of(out), out.aval.dtype) for out in equation.outvars]
    found = e.graph.nodes_of("Scan", values[constants:], results, attributes)
    for out, value in zip(equation.outvars, found, strict=True):
        e.bind(out, value, identity(len(out.aval.shape)))


def cond(e: Emitter, equation: Any) -> None:
    """Emit If for a choice between two; JAX lists the branch for False first."""
    which, *operands = equation.invars
    branches = equation.params["branches"]
    if len(branches) != 2:
        raise LoweringError(f"expected a choice between two, found one between {len(branches)}")
    values = [e.read(atom) for atom in operands]
    truth = e.notes.get(("truth", which), which)
    condition = e.cast(e.read(truth), (), truth.aval.dtype, np.bool_)
    otherwise, then = (e.body(branch, values) for branch in branches)
    results = [(shape_of(out), out.aval.dtype) for out in equation.outvars]
    attributes = {"then_branch": then, "else_branch": otherwise}
    found = e.graph.nodes_of("If", [condition], results, attributes)
    for out, value in zip(equation.outvars, found, strict=True):
        e.bind(out, value, identity(len(out.aval.shape)))


RULES: Final[dict[str, Rule]] = {"cond": cond, "scan": scan}
