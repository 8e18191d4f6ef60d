"""Rules for loops and branches: a scan becomes Scan, or Loop where the dialect says so, a choice between two If."""

from typing import Any, Final

import numpy as np

from lwmport.converters.onnx.emitter import Emitter, Rule, identity
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def scan(e: Emitter, equation: Any) -> None:
    """Emit a loop over the rows of arrays in the form of the dialect, by default Scan.

    Raises:
        LoweringError: the loop only counts.
    """
    if len(equation.invars) == equation.params["num_consts"] + equation.params["num_carry"]:
        raise LoweringError("expected a loop over the rows of an array, found one that only counts")
    (e.rule_of("scan") or scan_rows)(e, equation)


def scan_rows(e: Emitter, equation: Any) -> None:
    """Emit Scan: what is carried, then a row of every array a time. Constants are read from around the body."""
    params = equation.params
    constants, carried = params["num_consts"], params["num_carry"]
    values = [e.read(atom) for atom in equation.invars]
    inner = params["jaxpr"].jaxpr.invars[constants:]
    inputs = [e.graph.value(e.graph.unique("held"), shape_of(variable), variable.aval.dtype) for variable in inner]
    body = e.body(params["jaxpr"], [*values[:constants], *inputs], inputs)
    rows, made = len(inner) - carried, len(equation.outvars) - carried
    attributes: dict[str, Any] = {"body": body, "num_scan_inputs": rows}
    if params["reverse"]:
        attributes |= {"scan_input_directions": [1] * rows, "scan_output_directions": [1] * made}
    results = [(shape_of(out), out.aval.dtype) for out in equation.outvars]
    found = e.graph.nodes_of("Scan", values[constants:], results, attributes)
    for out, value in zip(equation.outvars, found, strict=True):
        e.bind(out, value, identity(len(out.aval.shape)))


def goes_forward(equation: Any) -> bool:
    """Return whether a loop begins with the first row."""
    return not equation.params["reverse"]


def loop(e: Emitter, equation: Any) -> None:
    """Emit Loop: its body takes a row of every array by the number of the round.

    It is for OpenVINO (2026.4), which counts what the body of a Scan reads from around it among what is carried, and
    then refuses the Scan.
    """
    closed, constants = equation.params["jaxpr"], equation.params["num_consts"]
    first_row = constants + equation.params["num_carry"]
    values = [e.read(atom) for atom in equation.invars]
    inner = closed.jaxpr.invars
    held = [e.graph.value(e.graph.unique("held"), shape_of(v), v.aval.dtype) for v in inner[constants:first_row]]
    number = e.graph.value(e.graph.unique("round"), (), np.dtype(np.int64))
    going = e.graph.value(e.graph.unique("going"), (), np.dtype(np.bool_))
    with e.graph.body() as nodes:
        rows = [
            e.graph.node("Gather", [array, number], shape_of(variable), variable.aval.dtype, {"axis": 0})
            for array, variable in zip(values[first_row:], inner[first_row:], strict=True)
        ]
        with e.nested(closed, [*values[:constants], *held, *rows]):
            e.lower(closed.jaxpr.eqns)
            outputs = [e.own(going, (), np.bool_, ())]
            for atom in closed.jaxpr.outvars:
                outputs.append(e.own(e.read(atom), shape_of(atom), atom.aval.dtype, outputs))
    body = e.graph.subgraph([number, going, *held], outputs, nodes)
    array = equation.invars[first_row]
    shape = e.graph.node("Shape", [values[first_row]], (len(array.aval.shape),), np.int64)
    rounds = e.graph.node("Gather", [shape, e.graph.constant(np.asarray(0, np.int64))], (), np.int64, {"axis": 0})
    go = e.graph.constant(np.asarray(1, np.bool_))
    results = [(shape_of(out), out.aval.dtype) for out in equation.outvars]
    found = e.graph.nodes_of("Loop", [rounds, go, *values[constants:first_row]], results, {"body": body})
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
