"""The table of a budget beside a model: whoever reads it comes to the same verdict."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lwmport.manifest import ComponentEntry
from lwmport.small_files import read_small
from lwmport.types import Status
from lwmport.verdicts import Fault

TABLE: Final = "budget.json"
GB: Final = 1e9


def missed(told: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Return that a budget is missed, where it is; NaN never passes."""
    gb, kl = told["budget"]["gb"], told["budget"]["kl"]
    written, measured = told["bytes"]["written"], told["kl_nats"]["measured"]
    if kl is not None and not measured <= kl:
        reason = f"expected a KL divergence of at most {kl} nats (--budget-kl), measured {measured:.6g}"
    elif gb is not None and not written <= gb * GB:
        forecast = told["bytes"]["forecast"] / GB
        reason = (
            f"expected files of at most {gb} GB (--budget-gb), found {written / GB:.6g} GB, forecast {forecast:.6g} GB"
        )
    else:
        return ()
    return (Fault(status=Status.FAILED, reason=reason),)


def missed_by(part: ComponentEntry, folder: Path) -> tuple[Fault, ...]:
    """Return the same of a converted model; of one without a table, or with a damaged one, nothing."""
    if TABLE not in (file.name for file in part.files):
        return ()
    try:
        return missed(json.loads(read_small(folder / TABLE)))
    except (OSError, ValueError, LookupError, TypeError):
        return ()  # the digest in the manifest tells that it was changed
