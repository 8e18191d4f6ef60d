"""What a cache that is narrower than float32 costs, and what it saves: said of the logits, without a verdict."""

from math import prod

from lwmport.models.narrow_cache import widened
from lwmport.models.specs import spec_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.reports import numbers
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Signature, TensorSpec, Weights, dtype_of
from lwmport.validators.language import language_metrics, language_words


def cache_notes(weights: Weights, run: ReferenceRun) -> list[str]:
    """Return the bytes of the cache, and how far the reference moves when its cache is rounded.

    Nothing where the cache is as wide as what is computed. The second is told where there is a run of several tokens
    behind no others: what a float32 cache would hold before them is not known elsewhere.
    """
    wide = widened(run.component)
    if wide is None:
        return []
    own, whole = (numbers.size(cache_bytes(one.signature)) for one in (run.component, wide))
    narrow = {spec.dtype for spec in run.component.signature.outputs if spec.name in run.component.signature.caches}
    told = [f"The cache has {own} in {' and '.join(sorted(narrow))} for each token of a sequence; in float32 {whole}."]
    seen = next((one for one in run.all if _begins(one)), None)
    if seen is None:
        return told
    inputs = {spec.name: seen.inputs[spec.name].astype(spec.dtype) for spec in wide.signature.inputs}
    (exact,) = reference(wide, weights).run_all([inputs])
    spec = spec_of(run.component.family)
    logits = [name for name in exact if spec is not None and name in spec.logits]
    return [*told, *(_cost(name, seen.counted(exact)[name], seen.counted(seen.outputs)[name]) for name in logits)]


def cache_bytes(signature: Signature) -> int:
    """Return the bytes that the states of a signature take for each token of a sequence."""
    axes = {state.output: state.axis for state in signature.states if state.output in signature.caches}
    specs = [spec for spec in signature.outputs if spec.name in axes]
    return sum(dtype_of(spec.dtype).itemsize * _channels(spec, axes[spec.name]) for spec in specs)


def _channels(spec: TensorSpec, tokens: int) -> int:
    """Return the elements of each token of a sequence; ``tokens`` is the axis of the tokens."""
    return prod(int(size) for axis, size in enumerate(spec.shape) if axis not in {0, tokens})


def _begins(run: ReferenceRun) -> bool:
    """Return whether a run has several tokens and nothing in its cache."""
    held = [run.inputs[state.input] for state in run.component.signature.states if state.input in run.inputs]
    return bool(held) and not any(array.size for array in held) and run.inputs["position_ids"].shape[1] > 1


def _cost(name: str, exact: Array, rounded: Array) -> str:
    found = language_metrics(exact, rounded)
    return f"Cost of the cache, {name}: {language_words(found) if found else 'none'} against a float32 cache."
