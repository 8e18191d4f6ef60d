"""What surrounds a model: how a picture becomes its input, and its output a picture again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lwmport.handoff.record import Processing, Scaling
from lwmport.models.spec import FamilySpec
from lwmport.types import Kind, Normalisation, Preprocessing, Resizing, Signature, TensorSpec, Update
from lwmport.validators.pictures import BYTES, LEVELS, layout_of
from lwmport.validators.resizing import words

NOTHING: Final = Processing(steps=(), scaling=None)

_CACHES: Final = {
    Update.GROWS: ("axes [batch, heads, tokens, head size]", "no tokens"),
    Update.SLOT: ("axes [batch, heads, slots, head size]", "zeros"),
}
"""How a cache is kept -> its axes, and what it is before the first run."""


def processing_of(signature: Signature, family: FamilySpec) -> dict[str, Processing]:
    """Return, for each tensor by ``inputs/NAME`` or ``outputs/NAME``, what happens to it outside the model."""
    shown = family.prepared(signature)
    before = {f"inputs/{spec.name}": _before(spec, shown.get(spec.name)) for spec in signature.inputs}
    after = {f"outputs/{spec.name}": _after(spec) for spec in signature.outputs}
    caches = _of_caches(signature)
    found = {
        name: _with_words(what, caches.get(name) or family.words.get(name.partition(".")[0], ""))
        for name, what in {**before, **after}.items()
    }
    return {name: what for name, what in found.items() if what is not NOTHING}


def prepared(signature: Signature, preprocessing: Mapping[str, Preprocessing]) -> dict[str, str]:
    """Return, for each input that is a picture, what makes it of one, in a line."""
    pictures = {
        spec.name: _picture_in(spec, preprocessing[spec.name])
        for spec in signature.inputs
        if spec.name in preprocessing
    }
    return {name: "; ".join(what.steps) for name, what in pictures.items()}


def _of_caches(signature: Signature) -> dict[str, str]:
    """Return what to say of each input and output that is a cache."""
    found = {}
    for state in signature.states:
        if state.update in _CACHES:
            axes, first = _CACHES[state.update]
            found[f"inputs/{state.input}"] = (
                f"{axes}: {first} before the first run, then {state.output} of the run before"
            )
            found[f"outputs/{state.output}"] = f"{axes}: the whole cache, to give to the next run as {state.input}"
    return found


def _before(spec: TensorSpec, how: Preprocessing | None) -> Processing:
    if how is not None:
        return _picture_in(spec, how)
    if spec.kind is Kind.INDICES and spec.value_range:
        low, high = spec.value_range
        return Processing(
            steps=(f"integers from {low:.0f} to {high:.0f}",),
            scaling=None,
        )
    return NOTHING


def _with_words(found: Processing, words: str) -> Processing:
    return replace(found, steps=(*found.steps, words)) if words else found


def _after(spec: TensorSpec) -> Processing:
    if spec.kind is not Kind.PICTURE:
        return NOTHING
    scaling = _scaling(spec)
    low, high = spec.value_range or (-1.0, 1.0)
    return Processing(
        steps=(
            f"clip to [{low:g}, {high:g}], which a device that rounds more than float32 may leave",
            f"as 8 bits: value / {scaling.scale:.9g} + {scaling.mean:g}, cut to an integer, as LWM does",
        ),
        scaling=scaling,
    )


def _picture_in(spec: TensorSpec, how: Preprocessing) -> Processing:
    """Return what makes an input of a picture; by default LWM's own, ``_process_frame`` of its lwm/vision_chat.py."""
    scaling, numbers = _scaling(spec), how.normalisation
    if spec.dtype == BYTES:
        steps = _steps(spec, how.resizing, f"as {spec.dtype}: the model makes numbers of the bytes")
        return Processing(steps=steps, scaling=None, resizing=how.resizing)
    if numbers is None or _is_even(numbers):
        told = f"(value - {scaling.mean:g}) * {scaling.scale:.9g}, as {spec.dtype}"
        return Processing(steps=_steps(spec, how.resizing, told), scaling=scaling, resizing=how.resizing)
    mean, deviation = (", ".join(f"{value:.9g}" for value in values) for values in (numbers.mean, numbers.deviation))
    told = f"(value / {LEVELS} - mean) / deviation by channel, mean [{mean}], deviation [{deviation}], as {spec.dtype}"
    steps = _steps(spec, how.resizing, told)
    return Processing(steps=steps, scaling=None, normalisation=numbers, resizing=how.resizing)


def _is_even(numbers: Normalisation) -> bool:
    """Return whether all channels have the same numbers, which the range of the input then tells."""
    return len(set(numbers.mean)) == len(set(numbers.deviation)) == 1


def _steps(spec: TensorSpec, how: Resizing, numbers: str) -> tuple[str, ...]:
    sizes = dict(zip(layout_of(spec), spec.shape, strict=False))
    high, wide = (sizes.get(axis, "the model's") for axis in "HW")
    return (
        f"an 8-bit picture, channels {_scaling(spec).channels}",
        words(how, (high, wide)),
        numbers,
        f"layout {layout_of(spec)}",
    )


def _scaling(spec: TensorSpec) -> Scaling:
    low, high = spec.value_range or (-1.0, 1.0)
    scale = (high - low) / LEVELS
    channels = dict(zip(layout_of(spec), spec.shape, strict=False)).get("C", 3)
    return Scaling(mean=-low / scale, scale=scale, channels="RGB" if channels == 3 else f"{channels} of them")
