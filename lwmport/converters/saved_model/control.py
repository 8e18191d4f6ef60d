"""Loops and branches: a scan is a While over positions, a choice among branches an If or a Case."""

from typing import Any, Final

from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def scan(e: Emitter, equation: Any) -> None:
    """Emit While: what is carried, and one list for everything that is stacked.

    Raises:
        LoweringError: the scan runs backwards.
    """
    params = equation.params
    if params["reverse"]:
        raise LoweringError("expected a scan from the first element on, found one from the last")
    held, carried = params["num_consts"], params["num_carry"]
    operands = [e.tf.convert_to_tensor(e.read(atom)) for atom in equation.invars]
    constants, carry, elements = operands[:held], operands[held : held + carried], operands[held + carried :]
    length = e.sizes.scalar(params["length"] if isinstance(params["length"], int) else str(params["length"]))
    lists = [_list(e, variable, length) for variable in equation.outvars[carried:]]

    def body(index: Any, carry: Any, lists: Any) -> Any:
        rows = [e.ops.GatherV2(params=element, indices=index, axis=e.constant(0, "int32")) for element in elements]
        found = inner(e, params["jaxpr"], [*constants, *carry, *rows])
        filled = [one.write(index, value) for one, value in zip(lists, found[carried:], strict=True)]
        return index + 1, _shaped(found[:carried], carry), filled

    start = (e.constant(0, "int32"), carry, lists)
    _, carry, lists = e.tf.while_loop(lambda index, *_: index < length, body, start)
    for variable, value in zip(equation.outvars, [*carry, *(one.stack() for one in lists)], strict=True):
        e.bind(variable, value)


def branch(e: Emitter, equation: Any) -> None:
    """Emit If between two, and Case among more."""
    which, *atoms = equation.invars
    operands = [e.read(atom) for atom in atoms]
    choices = [lambda made=made: inner(e, made, operands) for made in equation.params["branches"]]
    index = e.read(which)
    if len(choices) == 2:
        chosen = index if index.dtype == e.tf.bool else e.ops.Greater(x=index, y=e.constant(0, index.dtype))
        found = e.tf.cond(chosen, choices[1], choices[0])
    else:
        found = e.tf.switch_case(index, choices)
    for variable, value in zip(equation.outvars, found, strict=True):
        e.bind(variable, value)


def inner(e: Emitter, closed: Any, operands: list[Any]) -> list[Any]:
    """Return the results of a jaxpr inside another one."""
    for variable, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        e.bind(variable, e.constant(value))
    for variable, value in zip(closed.jaxpr.invars, operands, strict=True):
        e.bind(variable, value)
    for step in closed.jaxpr.eqns:
        e.lower(step)
    return [e.tf.convert_to_tensor(e.read(atom)) for atom in closed.jaxpr.outvars]


def _list(e: Emitter, variable: Any, length: Any) -> Any:
    shape = [size if isinstance(size, int) else None for size in shape_of(variable)[1:]]
    return e.tf.TensorArray(str(variable.aval.dtype), size=length, element_shape=shape)


def _shaped(found: list[Any], before: list[Any]) -> list[Any]:
    """Return what is carried with the shapes that it had, which a loop has to keep."""
    for value, old in zip(found, before, strict=True):
        value.set_shape(old.shape)
    return found


RULES: Final[dict[str, Rule]] = {"cond": branch, "scan": scan}
