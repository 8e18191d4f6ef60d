"""Does a checkpoint fit a model? One answer with everything that is wrong in it."""

import difflib
from collections.abc import Mapping
from typing import Final

from lwmport.errors import CheckpointError
from lwmport.types import Weights, WeightSpec
from lwmport.wording import MOST, few

SUGGEST: Final = 10
"""Missing names up to which a similar one is looked for: with more, the model is another one altogether."""


NAMED: Final = 40
"""Wrong names up to which a message shows all: as many as two layers of a model have; of more, the first are shown."""


def fit(weights: Weights, wanted: Mapping[str, WeightSpec], what: str, *, strict: bool = True) -> tuple[str, ...]:
    """Return the tensors that are left over, if ``weights`` hold those of ``wanted``.

    Any floating dtype serves where a floating one is wanted, for it is cast later; other dtypes must be equal.

    Args:
        weights: a checkpoint.
        wanted: the tensors of the model, by the names that a checkpoint has for them.
        what: names the model in the message.
        strict: a tensor that is left over is an error too.

    Raises:
        CheckpointError: they do not; the message counts every missing, superfluous, misshaped and mistyped tensor,
            and names all of up to `NAMED`, the first of more.
    """
    found = weights.specs
    left_over = tuple(name for name in found if name not in wanted)
    groups = {
        "missing": _missing(found, wanted),
        "not wanted": list(left_over) if strict else [],
        "of another shape": _misshaped(found, wanted),
        "of another dtype": _mistyped(found, wanted),
    }
    wrong = [f"{len(names)} {group}: {_named(names)}" for group, names in groups.items() if names]
    if wrong:
        source = weights.source["description"]
        raise CheckpointError(f"expected the {len(wanted)} tensors of {what}, found in {source}: {'; '.join(wrong)}")
    return left_over


def _named(names: list[str]) -> str:
    return few(names, NAMED if len(names) <= NAMED else MOST)


def _missing(found: Mapping[str, WeightSpec], wanted: Mapping[str, WeightSpec]) -> list[str]:
    names = [name for name in wanted if name not in found]
    superfluous = [name for name in found if name not in wanted]
    if len(names) > SUGGEST or len(superfluous) > SUGGEST:
        return [f"{name} {wanted[name].shape}" for name in names]
    return [f"{name} {wanted[name].shape}{_hint(name, superfluous)}" for name in names]


def _hint(name: str, candidates: list[str]) -> str:
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.8)
    return f" (is it {near[0]}?)" if near else ""


def _misshaped(found: Mapping[str, WeightSpec], wanted: Mapping[str, WeightSpec]) -> list[str]:
    return [
        f"{name} expected {spec.shape} found {found[name].shape}"
        for name, spec in wanted.items()
        if name in found and found[name].shape != spec.shape
    ]


def _mistyped(found: Mapping[str, WeightSpec], wanted: Mapping[str, WeightSpec]) -> list[str]:
    return [
        f"{name} expected {spec.dtype} found {found[name].dtype}"
        for name, spec in wanted.items()
        if name in found and not _serves(found[name].dtype, spec.dtype)
    ]


def _serves(found: str, wanted: str) -> bool:
    return found == wanted or (is_floating(found) and is_floating(wanted))


def is_floating(dtype: str) -> bool:
    """Return whether a dtype (numpy's name) is floating: bfloat16 and the float8 ones too, which numpy denies."""
    return dtype.startswith(("float", "bfloat"))
