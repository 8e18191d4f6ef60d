"""A jaxpr without calls, and otherwise as it was traced: each equation as it stands, nothing computed or folded."""

from jax.extend import core

from lwmport.graphs.simplify import prune
from lwmport.models.calls import without_calls


def inline(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """Return an equal program in which every call is replaced by what it calls; what nobody reads is left out.

    Composites stay whole, and so do the bodies of loops and branches.
    """
    return prune(without_calls(closed))
