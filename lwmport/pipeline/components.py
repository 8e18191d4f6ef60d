"""The components of a model, by the names that a manifest gives them."""

from lwmport.errors import ArtifactError
from lwmport.models.families import Family
from lwmport.types import Component


def component_of(family: Family, name: str) -> Component:
    """Return the reference that a component of a manifest is judged by.

    Raises:
        ArtifactError: the model has no such component.
    """
    found = [component for component in family.references if component.name == name]
    if not found:
        names = ", ".join(component.name for component in family.references)
        raise ArtifactError(f"expected components out of {names} in the manifest, found {name}")
    return found[0]
