"""Plants one fault in a model's file."""

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np

from faults.draft import Draft, NoPlaceError
from faults.kinds import KINDS
from faults.onnx_draft import OnnxDraft
from faults.place import Place, Planted
from faults.tflite_draft import TfliteDraft

DRAFTS: dict[str, Callable[[Path], Draft]] = {".onnx": OnnxDraft, ".tflite": TfliteDraft}
TRIES = 20
"""Places that are tried before a model counts as one without a place."""


def plant(model: Path, kind: str, seed: int) -> Planted | None:
    """Plant a fault of a kind in a model and return where; the same seed gives the same place.

    The file is changed in place, and still opens in its runtime. Its data file is not touched: an ONNX tensor that
    changes moves into the ``.onnx``. Places in the main graph and in functions come before those in branches and loops,
    which a run may never enter.

    Args:
        model: a ``.onnx`` or ``.tflite`` file.
        kind: a key of `KINDS`.
        seed: chooses the place, and values where the kind draws some.

    Returns:
        What was planted; None, and the file as it was, where the model has no place for it.
    """
    random = np.random.default_rng([seed, crc32(kind.encode())])
    for number in _order(model, kind, random)[:TRIES]:
        draft, places = _places(model, kind)
        try:
            places[number].change(random)
            draft.save(model)
        except NoPlaceError:
            continue
        return _record(kind, places[number], draft)
    return None


def _places(model: Path, kind: str) -> tuple[Draft, list[Place]]:
    draft = DRAFTS[model.suffix](model)
    return draft, list(KINDS[kind].places(draft))


def _order(model: Path, kind: str, random: np.random.Generator) -> list[int]:
    """Return the places' numbers in the seed's order, those that a run may not enter last."""
    places = _places(model, kind)[1]
    return sorted(random.permutation(len(places)).tolist(), key=lambda number: places[number].nested)


def _record(kind: str, place: Place, draft: Draft) -> Planted:
    first = place.operators[0]
    named = [name for operator in place.operators for name in (operator.name, *operator.enclosing)]
    return Planted(
        kind=kind,
        node=first.name,
        operator=first.written,
        index=first.index,
        nodes=tuple(dict.fromkeys([*named, *draft.added])),
        causes=KINDS[kind].causes if place.causes is None else place.causes,
    )
