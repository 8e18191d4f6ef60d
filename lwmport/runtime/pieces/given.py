"""Which values some operators need, held against those that are given: what is wrong costs one line."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lwmport.errors import RunnerError
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array

VALUELESS: Final = frozenset({"resource", "variant"})
"""Dtypes of what stands for a variable, a table or a list inside of a runtime."""


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
        RunnerError: a value is missing, of another dtype, or of a tensor that the operators make; a tensor that is
            wanted is none of theirs; or one has no value outside of the runtime.
    """
    made = {name for each in operators for name in each.outputs if name}
    read = {name: each for each in operators for name in each.inputs if name and name not in made}
    for name in wanted:
        if name not in made:
            raise RunnerError(f"expected an output of these operators, found {name!r}")
    for name in (*wanted, *read):
        if dtype(name) in VALUELESS:
            raise RunnerError(f"expected {name} inside of these operators, found a {dtype(name)} that has no value")
    for name, reader in read.items():
        if name not in given and name not in constants:
            raise RunnerError(f"expected a value for {name}, which {reader.type} {reader.name} reads, found none")
    for name, array in given.items():
        if name in made:
            raise RunnerError(f"expected values that these operators read, found one for {name}, which they make")
        if name in read and array.dtype.name != dtype(name):
            raise RunnerError(f"expected {dtype(name)} for {name}, found {array.dtype.name}")
    return {name: array for name, array in given.items() if name in read}
