"""A folder holds one conversion: what another one left there is neither orphaned nor deleted."""

from collections.abc import Collection
from pathlib import Path

from lwmport import manifest
from lwmport.errors import ArtifactError, PortError
from lwmport.types import SharedData
from lwmport.wording import few

ADVICE = "choose another --out, or delete what is there"


def check_free(out: Path, components: Collection[str], form: str, shared: SharedData | None = None) -> None:
    """Return if a conversion into ``out`` would replace every artifact that lies there: none, or the same ones.

    A file of another component or format would stay behind with no manifest to vouch for it, and so would the weights
    of several, where they are now in another file than ``shared``.

    Raises:
        PortError: there is such an artifact, or a manifest that is none of ours; nothing was touched.
    """
    if not (out / manifest.NAME).exists():
        return
    try:
        found = manifest.read(out)
    except ArtifactError as error:
        raise PortError(
            f"expected a manifest of a conversion at {out / manifest.NAME}, or none, found something else; {ADVICE}"
        ) from error
    files = dict.fromkeys(file.name for part in found.components for file in part.files)
    kept = [name for name in files if found.artifact_format != form or not _is_replaced(name, components, shared)]
    if kept:
        asked = few(components)
        raise PortError(
            f"expected {out} without another conversion, for {asked} to {form}, "
            f"found {few(kept)} of {found.component} to {found.artifact_format}; {ADVICE}"
        )


def _is_replaced(name: str, components: Collection[str], shared: SharedData | None) -> bool:
    """Return whether a conversion writes a file of this name."""
    own = any(name.startswith(f"{component}.") for component in components)
    return own or (shared is not None and name == shared.name)
