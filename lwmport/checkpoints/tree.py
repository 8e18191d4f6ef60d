"""Nested dicts become flat names (``encoder/Conv_0/kernel``), with bounds that no honest file reaches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from lwmport.checkpoints.entry import MAX_TENSORS, TensorEntry
from lwmport.errors import CheckpointError
from lwmport.wording import shown

MAX_DEPTH: Final = 200
MAX_NAME: Final = 1024
"""Characters of a whole name, and of one part of it."""

PARAMS: Final = "params"
"""Where flax's variables hold the parameters, and a train state holds those."""

BESIDE: Final = frozenset({"opt_state", "step", "tx", "apply_fn", "rng", "dropout_rng", "ema_params", "loss_scale"})
"""What stands beside the parameters in a train state (flax/training/train_state.py, and what is often added)."""

Leaf = Callable[[object], TensorEntry | None]
"""Returns the entry of a tensor, None for a dict to descend into, and raises for anything else."""


class TrainStateError(CheckpointError):
    """The tensors are those of a train state; its parameters can be asked for."""


def flatten(tree: object, leaf: Leaf) -> dict[str, TensorEntry]:
    """Return the tensors of a nested dict by name.

    Raises:
        CheckpointError: no dict of tensors, one that contains itself, or too deep, too many, or two of one name.
    """
    if not isinstance(tree, dict) or leaf(tree) is not None:
        raise CheckpointError("expected a dict of tensors at the top, found something else")
    entries: dict[str, TensorEntry] = {}
    # Dicts may be shared, so a small file can have exponentially many paths: the visits are counted, not the dicts.
    for visits, (name, entry) in enumerate(_walk(tree, leaf, "", ())):
        if visits >= MAX_TENSORS:
            raise CheckpointError(f"expected at most {MAX_TENSORS:,} dicts and tensors, found more")
        if entry is not None:
            add(entries, name, entry)
    return entries


def add(entries: dict[str, TensorEntry], name: str, entry: TensorEntry) -> None:
    """Put one tensor into the index.

    Raises:
        CheckpointError: the name is taken, or too long, or there are too many.
    """
    if name in entries:
        raise CheckpointError(f"expected each name once, found two tensors named {shown(name)!r}")
    if not name or len(name) > MAX_NAME:
        raise CheckpointError(f"expected a name of 1 to {MAX_NAME} characters, found {len(name)}")
    if len(entries) >= MAX_TENSORS:
        raise CheckpointError(f"expected at most {MAX_TENSORS:,} tensors, found more")
    entries[name] = entry


def put(node: dict[str, object], key: object, value: object) -> None:
    """Set a key of a dict that is being read; integers become text, as flax does.

    Raises:
        CheckpointError: the key is neither, or is there already.
    """
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise CheckpointError("expected a text as the key of a dict, found something else")
    name = str(key)
    if len(name) > MAX_NAME:
        raise CheckpointError(f"expected a key of at most {MAX_NAME} characters, found {len(name)}")
    if name in node:
        raise CheckpointError(f"expected each key once in a dict, found {shown(name)!r} twice")
    node[name] = value


def is_train_state(keys: Iterable[str]) -> bool:
    """Return whether a tree with these keys at its top is the state of a training: parameters and what is beside."""
    found = set(keys)
    return PARAMS in found and bool(found & BESIDE)


def without_params(entries: Mapping[str, TensorEntry]) -> dict[str, TensorEntry]:
    """Return the entries with a lone leading ``params/`` taken off: flax's variables hold the bare tree there."""
    if all(name.startswith("params/") for name in entries):
        return {name.removeprefix("params/"): entry for name, entry in entries.items()}
    return dict(entries)


def _walk(
    node: Mapping[str, object],
    leaf: Leaf,
    prefix: str,
    above: tuple[int, ...],
) -> Iterator[tuple[str, TensorEntry | None]]:
    """Yield every path with its entry, or with None where a dict begins."""
    if id(node) in above:
        raise CheckpointError(f"expected a tree, found a dict that contains itself at {shown(prefix)!r}")
    if len(above) >= MAX_DEPTH or len(prefix) > MAX_NAME:
        raise CheckpointError(f"expected at most {MAX_DEPTH} dicts inside each other, found more")
    for key, value in node.items():
        name = f"{prefix}{key}"
        entry = _named(value, leaf, name)
        yield name, entry
        if entry is None and isinstance(value, dict):
            yield from _walk(value, leaf, f"{name}/", (*above, id(node)))


def _named(value: object, leaf: Leaf, name: str) -> TensorEntry | None:
    try:
        return leaf(value)
    except CheckpointError as error:
        raise CheckpointError(f"{shown(name)}: {error}") from error
