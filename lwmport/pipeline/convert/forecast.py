"""How large the models of a conversion are going to be, and what a budget leaves of that open."""

from collections.abc import Mapping

from lwmport.checkpoints.model_weights import component_weights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.models.schemes import uncalibrated
from lwmport.pipeline.convert.lower import program_of
from lwmport.pipeline.convert.work import Work
from lwmport.types import Component, Scheme, Weights


def forecast_bytes(work: Work, changed: Mapping[str, Scheme]) -> int:
    """Return the bytes of all model files, graphs included, where some weights have another scheme than the options'.

    A file that several models share counts once. Dialects of ONNX alone take budgets.
    """
    from lwmport.converters.onnx.size import file_bytes

    found: list[tuple[int, int]] = [
        file_bytes(program_of(work, component), _weights(work, component, changed), work.dialect)
        for component in work.family.components
    ]
    data = [count for _, count in found]
    return sum(count for count, _ in found) + (max(data) if work.shared else sum(data))


def _weights(work: Work, component: Component, changed: Mapping[str, Scheme]) -> Weights:
    """Return the weights of a component, rounded by methods that need no run."""
    weights = component_weights(work.family, component, work.weights)
    if not isinstance(weights, StoredWeights):
        return weights
    own = {name: changed.get(name, scheme) for name, scheme in weights.stored.items()}
    return StoredWeights(weights.exact, weights.scheme, {name: uncalibrated(scheme) for name, scheme in own.items()})
