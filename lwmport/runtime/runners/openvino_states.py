"""A language model of OpenVINO that keeps its caches: inputs and outputs of states become variables of the model."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np

from lwmport.types import State

ORDER: Final = "beam_idx"
"""Input for the place that each sequence had before, which OpenVINO looks for where it writes into a cache in place."""


def keep_states(model: Any, states: Iterable[State]) -> None:
    """Make variables of the states of an ``openvino.Model``, each with the name of its input; they begin empty.

    What OpenVINO writes in place is attention whose keys and values come from a variable by way of a Gather.
    """
    from openvino import op
    from openvino import opset13 as ops

    states = tuple(states)
    batch = _batch(model, {state.input for state in states}, ops)
    order = ops.parameter([-1], np.int32, name=ORDER)
    order.output(0).get_tensor().set_names({ORDER})
    first = ops.constant(0, np.int32)
    for state in states:
        given, found = (port.get_node() for port in (model.input(state.input), model.output(state.output)))
        shape, dtype = given.output(0).get_partial_shape(), given.output(0).get_element_type()
        variable = _variable(state.input, shape, dtype)
        kept = op.read_value(_empty(shape, dtype, batch, ops), variable)
        ordered = ops.gather(kept, order, first)
        for reader in given.output(0).get_target_inputs():
            reader.replace_source_output(ordered.output(0))
        model.add_variables([variable])
        model.add_sinks([op.assign(ops.convert(found.input_value(0), dtype.to_string()), variable)])
        model.remove_result(found)
        model.remove_parameter(given)
    model.add_parameters([order])
    model.validate_nodes_and_infer_types()


def _variable(name: str, shape: Any, dtype: Any) -> Any:
    from openvino.op.util import Variable, VariableInfo

    told = VariableInfo()
    told.variable_id, told.data_shape, told.data_type = name, shape, dtype
    return Variable(told)


def _batch(model: Any, states: AbstractSet[str], ops: Any) -> Any:
    """Return the number of sequences, int64 [1], off the first input that is no state."""
    given = next(port for port in model.inputs if not states & port.get_names())
    shape = ops.shape_of(given, "i64")
    return ops.gather(shape, ops.constant(np.zeros(1, np.int64)), ops.constant(0, np.int32))


def _empty(shape: Any, dtype: Any, batch: Any, ops: Any) -> Any:
    """Return a state of no tokens."""
    sizes = [0 if dim.is_dynamic else dim.get_length() for dim in list(shape)[1:]]
    whole = ops.concat([batch, ops.constant(np.asarray(sizes, np.int64))], 0)
    return ops.broadcast(ops.constant(0, dtype.to_dtype()), whole)
