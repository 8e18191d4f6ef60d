"""What is known of a checkpoint beside its tensors: which configurations fit, what stands beside it, its seed."""

from collections.abc import Mapping
from typing import Any

from lwmport.checkpoints.feeders import with_its_feeders
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.model_weights import fitting
from lwmport.checkpoints.sidecar import sidecar_of
from lwmport.checkpoints.told_config import told_config
from lwmport.choices import RANDOM
from lwmport.errors import PortError
from lwmport.models.families import USUAL, family_with, offers_of, resolve
from lwmport.models.options import Options
from lwmport.models.specs import marked


def component_of(checkpoint: Checkpoint) -> str | None:
    """Return the component whose weights a checkpoint holds, told by a tensor that only such a checkpoint has."""
    return marked(checkpoint.specs) or None


def described(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Return what is known of a checkpoint, as plain JSON values.

    ``component`` is what it fits, ``fits`` are the configurations that have its sizes, ``beside`` is the file that
    lwmport wrote beside it, ``random_seed`` the seed of random weights, ``remarks`` what was decided about its tensors.
    Entries of which nothing is known are left out.
    """
    component, beside = component_of(checkpoint), sidecar_of(checkpoint)
    found: dict[str, Any] = {
        "component": component,
        "beside": beside and beside.name,
        "remarks": [*checkpoint.findings.remarks],
    }
    if component is not None:
        spec = family_with(component)
        try:
            found["fits"] = [] if checkpoint.config or beside else [*offers_of(spec, component, checkpoint.specs)]
            told = told_config(spec, component, checkpoint, (found["fits"] or [USUAL])[0])
            family = resolve(component, told.config, Options(), checkpoint.specs)
            fitting(with_its_feeders(family, checkpoint), checkpoint)
            found["random_seed"] = checkpoint.source.get(RANDOM)
        except PortError:
            pass  # it is a damaged or another model, which only its tensors tell of
    return {name: value for name, value in found.items() if value not in (None, [])}


def sentences(known: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what `described` knows, in words."""
    fits = known.get("fits")
    told = (
        f"component: {known['component']}" if "component" in known else "",
        f"configurations that fit its shapes: {', '.join(fits)}; no tensor tells which" if fits else "",
        f"configuration: in {known['beside']}, written by lwmport" if "beside" in known else "",
        f"random weights (seed {known['random_seed']}), not trained" if "random_seed" in known else "",
        *known.get("remarks", ()),
    )
    return tuple(filter(None, told))
