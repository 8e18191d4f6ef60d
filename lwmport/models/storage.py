"""What the weights of a component are stored as in an artifact, where that is not what is computed with them."""

from collections.abc import Sequence
from typing import Final

from lwmport.errors import UnusedOptionError
from lwmport.types import Component, Scheme

SCHEMES: Final[dict[str, Scheme]] = {"float16": Scheme(name="float16", bits=16, dtype="float16")}
"""What ``--store`` may name -> the scheme."""


def stored_names(component: Component, store: str) -> frozenset[str]:
    """Return the weights of a component that the scheme ``store`` stores; none where ``store`` is empty.

    What the family keeps in float32 whatever the precision is also stored in float32.
    """
    if not store:
        return frozenset()
    return frozenset(
        name
        for name, spec in component.weights.items()
        if name not in component.kept and SCHEMES[store].takes(name, spec)
    )


def written_bytes(component: Component, store: str) -> int:
    """Return the bytes of the weights of a component as an artifact stores them."""
    narrow = stored_names(component, store)
    return sum(
        SCHEMES[store].stored_bytes(spec) if name in narrow else spec.nbytes for name, spec in component.weights.items()
    )


def check_stored(components: Sequence[Component], store: str) -> None:
    """Return if the scheme ``store``, where one is asked for, stores a weight of some components.

    Raises:
        UnusedOptionError: it stores none.
    """
    if store and not any(stored_names(component, store) for component in components):
        names = ", ".join(component.name for component in components)
        raise UnusedOptionError(
            f"expected matrices, kernels or tables for --store {store}, found none among the weights of {names}; "
            "leave it out",
            "store",
        )
