"""Which values some operators need, held against those that are given: what is wrong costs one line."""

from collections.abc import Callable, Mapping, Sequence

from lwmport.errors import RunnerError
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array


def needed(
    operators: Sequence[Operator],
    given: Mapping[str, Array],
    wanted: Sequence[str],
    constants: Mapping[str, object],
    dtype: Callable[[str], str],
) -> dict[str, Array]:
    """Return the values that some operators read and none of them makes, of those that are given.

    Args:
        operators: what is to run.
        given: values by the name of their tensor. Those that no operator reads are left out.
        wanted: names of tensors to compute.
        constants: tensors that need not be given.
        dtype: returns numpy's name of the dtype of a tensor.

    Raises:
        RunnerError: a value is missing, of another dtype, or of a tensor that the operators make; or a tensor that is
            wanted is none of theirs.
    """
    made = {name for each in operators for name in each.outputs}
    read = {name: each for each in operators for name in each.inputs if name and name not in made}
    for name in wanted:
        if name not in made:
            raise RunnerError(f"expected an output of these operators, found {name!r}")
    for name, reader in read.items():
        if name not in given and name not in constants:
            raise RunnerError(f"expected a value for {name}, which {reader.type} {reader.name} reads, found none")
    for name, array in given.items():
        if name in made:
            raise RunnerError(f"expected values that these operators read, found one for {name}, which they make")
        if name in read and array.dtype.name != dtype(name):
            raise RunnerError(f"expected {dtype(name)} for {name}, found {array.dtype.name}")
    return {name: array for name, array in given.items() if name in read}
