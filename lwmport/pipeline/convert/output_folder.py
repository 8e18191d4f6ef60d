"""A folder holds one conversion: what another one left there is neither orphaned nor deleted."""

from collections.abc import Collection
from pathlib import Path

from lwmport import atomic, manifest, placing
from lwmport.errors import ArtifactError, UsageError
from lwmport.reports.files import told_of_older
from lwmport.types import SharedData
from lwmport.wording import few

ADVICE = "choose another --out, or delete what is there"


def check_free(
    out: Path, components: Collection[str], form: str, shared: SharedData | None = None, beside: Collection[str] = ()
) -> None:
    """Return if a conversion into ``out`` would replace every artifact that lies there: none, or the same ones.

    A file of another component or format would stay behind with no manifest to vouch for it, and so would the weights
    of several, where they are now in another file than ``shared``. What lies ``beside`` artifacts is written again too.

    Raises:
        UsageError: there is such an artifact, or a manifest that is none of ours; nothing was touched.
    """
    if not (out / manifest.NAME).exists():
        return
    try:
        found = manifest.read(out)
    except ArtifactError as error:
        raise UsageError(
            f"expected a manifest of a conversion at {out / manifest.NAME}, or none, found something else; {ADVICE}"
        ) from error
    files = dict.fromkeys(file.name for part in found.components for file in part.files)
    again = {name for name in files if name in beside or _is_replaced(name, components, shared)}
    kept = [name for name in files if found.artifact_format != form or name not in again]
    if kept:
        asked = few(components)
        raise UsageError(
            f"expected {out} without another conversion, for {asked} to {form}, "
            f"found {few(kept)} of {found.component} to {found.artifact_format}; {ADVICE}"
        )


def check_names(out: Path, names: Collection[str], owned: atomic.Owned) -> None:
    """Return if no file of the user's has a name that a conversion is going to write, before the work begins.

    Names that only the work knows are looked at when it is done, and nothing is touched then either.

    Raises:
        UsageError: there is one, or a link.
    """
    folder = atomic.real_folder(out, owned)
    old = {*owned(folder), *placing.noted(folder)}
    with told_of_older(folder):
        for name in names:
            placing.refuse_link(folder / name)
            placing.check_way(folder, [f"{name}/-" if (folder / name).is_dir() else name], old)


def _is_replaced(name: str, components: Collection[str], shared: SharedData | None) -> bool:
    """Return whether a conversion writes a file of this name."""
    own = any(name.startswith(f"{component}.") for component in components)
    return own or (shared is not None and name == shared.name)
