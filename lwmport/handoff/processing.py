"""What surrounds a model: how a picture becomes its input, and its output a picture again."""

from dataclasses import replace
from typing import Final

from lwmport.handoff.record import Processing, Scaling
from lwmport.types import Kind, Signature, TensorSpec, Update

LEVELS: Final = 255
"""Largest value of an 8-bit channel."""
NOTHING: Final = Processing(steps=(), scaling=None)

_STATES: Final = "axes [batch, tokens, width]"
_LOGITS: Final = "the next one is the largest, or drawn from the softmax of logits / temperature"
LANGUAGE: Final = {
    "inputs/input_ids": "tokens of LWM's tokenizer; others are taken out first",
    "inputs/codebook_indices": "codes; other tokens are taken out first",
    "inputs/hidden_states": f"{_STATES}: what llama-embed gives, or the block before",
    "inputs/attention_mask": "1 for a token, 0 for padding; where there is a cache, an entry for each slot of it",
    "inputs/position_ids": "where each new token stands, counted from the first that is no padding",
    "inputs/cache_position": "the slot of the cache that the first new token goes into",
    "outputs/new_hidden_states": f"{_STATES}: the next block's hidden_states, or llama-head's",
    "inputs/vision_masks": "true where an id is a code of a picture, false where it is a word",
    "outputs/hidden_states": f"{_STATES}: the first block's hidden_states",
    "outputs/logits": _LOGITS,
    "outputs/text_logits": f"of words: {_LOGITS}",
    "outputs/vision_logits": f"of codes: {_LOGITS}",
}
"""Tensor -> what it is outside of the model. What a cache is, its states tell."""

_CACHES: Final = {
    Update.GROWS: ("axes [batch, heads, tokens, head size]", "no tokens"),
    Update.SLOT: ("axes [batch, heads, slots, head size]", "zeros"),
}
"""How a cache is kept -> its axes, and what it is before the first run."""


def processing_of(signature: Signature) -> dict[str, Processing]:
    """Return, for each tensor by ``inputs/NAME`` or ``outputs/NAME``, what happens to it outside the model."""
    words = {**LANGUAGE, **_of_caches(signature)}
    found = {
        **{f"inputs/{spec.name}": _before(spec) for spec in signature.inputs},
        **{f"outputs/{spec.name}": _after(spec) for spec in signature.outputs},
    }
    told = {name: _with_words(steps, words.get(name, "")) for name, steps in found.items()}
    return {name: steps for name, steps in told.items() if steps is not NOTHING}


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


def _before(spec: TensorSpec) -> Processing:
    if spec.kind is Kind.PICTURE:
        return _picture_in(spec)
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
