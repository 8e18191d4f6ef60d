"""What is judged of a file of ours beside its outputs: what it rounds, each alone, and what it stores."""

from collections.abc import Callable
from pathlib import Path

from lwmport.pipeline.validate.convolutions_alone import judge_convolutions
from lwmport.pipeline.validate.judge import Judgement
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.pipeline.validate.rounded_cache import judge_cache
from lwmport.pipeline.validate.rounded_products import judge_products
from lwmport.pipeline.validate.weights_read_back import judge_weights
from lwmport.types import Component, Signature, Weights


def judge_closer(  # noqa: PLR0913 - all that one of the four asks for
    judgement: Judgement,
    component: Component,
    path: Path,
    signature: Signature,
    run: ReferenceRun,
    *,
    weights: Weights,
    precision: str,
    tell: Callable[[str], None],
) -> Judgement:
    """Return a verdict with those on rounded products, a rounded cache, convolutions of integers and stored weights.

    Args:
        judgement: that on the outputs.
        component: what the file is of.
        path: the file.
        signature: its inputs and outputs.
        run: what the reference gives.
        weights: of the component.
        precision: whose tolerances count.
        tell: is told each phase.
    """
    judgement = judge_products(judgement, path, signature, run, precision, tell)
    judgement = judge_cache(judgement, signature, run, precision)
    judgement = judge_convolutions(judgement, path, signature, run, weights, tell)
    return judge_weights(judgement, component, path, weights)
