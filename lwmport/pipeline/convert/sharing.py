"""Which models of a folder keep their weights in one file: those that are phases of one model, not parts of it."""

from lwmport.converters import shares
from lwmport.models.families import Family, checkpoint_weights
from lwmport.types import Component, Dialect, SharedData


def shared_data(name: str, family: Family, dialect: Dialect) -> SharedData | None:
    """Return the file, named after what was asked for, for the weights of all components; None if each has its own.

    They have one where every component takes weights of the first and no others, as a decode beside its prefill does.
    Where each has some that the others lack, as the halves of a VQGAN, either can be deployed without the other's.
    """
    if not shares(dialect) or not takes_the_same(family.components):
        return None
    return SharedData(name=f"{name}-weights.{dialect.format}.data")


def takes_the_same(components: tuple[Component, ...]) -> bool:
    """Return whether there are several components, and all take weights of the first, in its dtypes, and no others.

    Weights are the same if they have the same name in the checkpoint: two components may call different ones alike.
    """
    first, *others = (checkpoint_weights((component,)).items() for component in components)
    return bool(others) and all(other <= first for other in others)
