"""A folder holds one conversion: what another one left there is neither orphaned nor deleted."""

from collections.abc import Collection
from pathlib import Path

from lwmport import manifest
from lwmport.errors import ArtifactError, PortError

ADVICE = "choose another --out, or delete what is there"


def check_free(out: Path, components: Collection[str], form: str) -> None:
    """Return if a conversion into ``out`` would replace every artifact that lies there: none, or the same ones.

    An artifact of another component or format would stay behind with no manifest to vouch for it.

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
    kept = [part.path for part in found.components if part.name not in components or found.artifact_format != form]
    if kept:
        asked = ", ".join(components)
        raise PortError(
            f"expected {out} without another conversion, for {asked} to {form}, "
            f"found {', '.join(kept)} of {found.component} to {found.artifact_format}; {ADVICE}"
        )
