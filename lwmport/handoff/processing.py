"""What surrounds a model: how a picture becomes its input, and its output a picture again."""

from typing import Final

from lwmport.handoff.record import Processing, Scaling
from lwmport.types import Kind, Signature, TensorSpec

LEVELS: Final = 255
"""Largest value of an 8-bit channel."""
NOTHING: Final = Processing(steps=(), scaling=None)


def processing_of(signature: Signature) -> dict[str, Processing]:
    """Return, for each tensor by ``inputs/NAME`` or ``outputs/NAME``, what happens to it outside the model."""
    before = {f"inputs/{spec.name}": _before(spec) for spec in signature.inputs}
    after = {f"outputs/{spec.name}": _after(spec) for spec in signature.outputs}
    return {name: found for name, found in {**before, **after}.items() if found is not NOTHING}


def _before(spec: TensorSpec) -> Processing:
    if spec.kind is Kind.PICTURE:
        return _picture_in(spec)
    if spec.kind is Kind.INDICES and spec.value_range:
        low, high = spec.value_range
        return Processing(
            steps=(f"integers from {low:.0f} to {high:.0f}; other tokens are taken out first",),
            scaling=None,
        )
    return NOTHING


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
    side = spec.shape[spec.layout.index("H")] if "H" in spec.layout else "the model's"
    return Processing(
        steps=(
            f"an 8-bit picture, channels {scaling.channels}",
            f"resized (bicubic) so that its short side is {side}, the centre cut out as a square",
            f"(value - {scaling.mean:g}) * {scaling.scale:.9g}, as {spec.dtype}",
            f"layout {spec.layout}",
        ),
        scaling=scaling,
    )


def _scaling(spec: TensorSpec) -> Scaling:
    low, high = spec.value_range or (-1.0, 1.0)
    scale = (high - low) / LEVELS
    channels = spec.shape[spec.layout.index("C")] if "C" in spec.layout else 3
    return Scaling(mean=-low / scale, scale=scale, channels="RGB" if channels == 3 else f"{channels} of them")
