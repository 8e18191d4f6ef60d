"""What surrounds a model: how a picture becomes its input, and its output a picture again."""

from dataclasses import replace
from typing import Final

from lwmport.handoff.record import Processing, Scaling
from lwmport.models.spec import FamilySpec
from lwmport.types import Kind, Normalisation, Signature, TensorSpec, Update
from lwmport.validators.pictures import LEVELS, layout_of

NOTHING: Final = Processing(steps=(), scaling=None)

_CACHES: Final = {
    Update.GROWS: ("axes [batch, heads, tokens, head size]", "no tokens"),
    Update.SLOT: ("axes [batch, heads, slots, head size]", "zeros"),
}
"""How a cache is kept -> its axes, and what it is before the first run."""


def processing_of(signature: Signature, family: FamilySpec) -> dict[str, Processing]:
    """Return, for each tensor by ``inputs/NAME`` or ``outputs/NAME``, what happens to it outside the model."""
    before = {f"inputs/{spec.name}": _before(spec, family.preprocessing.get(spec.name)) for spec in signature.inputs}
    after = {f"outputs/{spec.name}": _after(spec) for spec in signature.outputs}
    caches = _of_caches(signature)
    found = {
        name: _with_words(what, caches.get(name) or family.words.get(name.partition(".")[0], ""))
        for name, what in {**before, **after}.items()
    }
    return {name: what for name, what in found.items() if what is not NOTHING}


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


def _before(spec: TensorSpec, how: Normalisation | None) -> Processing:
    if spec.kind is Kind.PICTURE:
        return _picture_in(spec) if how is None else _normalised(spec, how)
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


def _picture_in(spec: TensorSpec) -> Processing:
    """Return LWM's own preparation: ``_process_frame`` in its lwm/vision_chat.py."""
    scaling = _scaling(spec)
    numbers = f"(value - {scaling.mean:g}) * {scaling.scale:.9g}, as {spec.dtype}"
    return Processing(steps=_steps(spec, scaling.channels, numbers), scaling=scaling)


def _normalised(spec: TensorSpec, how: Normalisation) -> Processing:
    """Return a preparation with numbers for each channel."""
    mean, deviation = (", ".join(f"{value:.9g}" for value in values) for values in (how.mean, how.deviation))
    numbers = (
        f"(value / {LEVELS} - mean) / deviation by channel, mean [{mean}], deviation [{deviation}], as {spec.dtype}"
    )
    return Processing(steps=_steps(spec, _scaling(spec).channels, numbers), scaling=None, normalisation=how)


def _steps(spec: TensorSpec, channels: str, numbers: str) -> tuple[str, ...]:
    sizes = dict(zip(layout_of(spec), spec.shape, strict=False))
    high, wide = (sizes.get(axis, "the model's") for axis in "HW")
    cut = (
        f"resized (bicubic) so that its short side is {high}, the centre cut out as a square"
        if high == wide
        else f"resized (bicubic) so that it covers {high} x {wide} (height x width), the centre cut out"
    )
    return (f"an 8-bit picture, channels {channels}", cut, numbers, f"layout {layout_of(spec)}")


def _scaling(spec: TensorSpec) -> Scaling:
    low, high = spec.value_range or (-1.0, 1.0)
    scale = (high - low) / LEVELS
    channels = dict(zip(layout_of(spec), spec.shape, strict=False)).get("C", 3)
    return Scaling(mean=-low / scale, scale=scale, channels="RGB" if channels == 3 else f"{channels} of them")
