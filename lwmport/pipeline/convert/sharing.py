"""Which models of a folder keep their weights in one file: those that are phases of one model, not parts of it."""

from itertools import pairwise

from lwmport.converters import shares
from lwmport.models.families import Family, checkpoint_weights
from lwmport.types import Component, Dialect, SharedData


def shared_data(name: str, family: Family, dialect: Dialect) -> SharedData | None:
    """Return the file, named after what was asked for, for the weights of all components; None if each has its own.

    They have one where of any two, one takes all that the other does, as a decode and its prefill do. What the first
    lacks, such as a table that only the decode looks into, is beside the other. Where each has some that the others
    lack, as the halves of a VQGAN, either can be deployed without the other's.
    """
    if not shares(dialect) or not takes_the_same(family.components):
        return None
    return SharedData(name=f"{name}-weights.{dialect.format}.data")


def takes_the_same(components: tuple[Component, ...]) -> bool:
    """Return whether there are several components, of any two of which one takes all that the other does.

    Weights are the same if they have the same name in the checkpoint, and the same dtype: two components may call
    different ones alike.
    """
    taken = sorted((checkpoint_weights((component,)).items() for component in components), key=len)
    return len(taken) > 1 and all(less <= more for less, more in pairwise(taken))
