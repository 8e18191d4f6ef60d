"""Do the integers of a quantised model hold what is computed with them? Its file is run, and each sum is looked at."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lwmport.atomic import is_interruption
from lwmport.checkpoints.stored_weights import packed_of
from lwmport.errors import said
from lwmport.processors import processors, sums_pairs_in_16_bits
from lwmport.reports.record import ComponentReport
from lwmport.types import Array, Status, Weights
from lwmport.validators.integer_verdict import judged, unjudged
from lwmport.validators.integers import Integers, ScaleFacts, Seen, joined, scale_facts
from lwmport.verdicts import Fault

KERNELS = "onnxruntime"
"""The runner whose kernels sum pairs in 16 bits where the processor has no VNNI."""

SCALES = "/scales"


def integers_of(path: Path, weights: Weights, cases: Sequence[Mapping[str, Array]], runner: str) -> Integers:
    """Return the verdict on the integers of a model file, over all cases, and on its scales.

    An ONNX file runs an operator at a time: memory is what its values take. Of another file the scales alone are looked
    at, and it is not judged.

    Args:
        path: the file, as it was converted.
        weights: its own, as it stores them.
        cases: inputs by name, as the file takes them.
        runner: the name of what runs it.
    """
    try:
        if path.suffix != ".onnx":
            scales = Seen(scales=list(_of_weights(weights)))
            return unjudged(f"sums are seen in an ONNX file alone, found {path.name}", scales)
        seen = joined(_runs(path, cases))
    except Exception as error:  # runtimes raise dozens of unrelated types
        if is_interruption(error):
            raise
        return unjudged(said(error))
    if not seen.products and not seen.values:
        return unjudged(f"{path.name} computes with no integers of 8 bits", seen)
    return judged(seen, saturating=sums_pairs_in_16_bits(), here=runner == KERNELS)


def with_integers(section: ComponentReport, found: Integers) -> ComponentReport:
    """Return a report with what was found on integers: a fault where a sum does not fit, else a remark."""
    if found.status is Status.PASSED:
        return replace(section, integers=found, notes=(*section.notes, f"Integers: {found.words}."))
    fault = Fault(status=found.status, reason=found.words)
    return replace(section, integers=found, faults=(*section.faults, fault))


def _runs(path: Path, cases: Sequence[Mapping[str, Array]]) -> Iterator[Seen]:
    from lwmport.runtime.integers.scan import scan  # it needs ONNX Runtime

    with contextlib.closing(scan(path, processors())) as opened:
        for inputs in cases:
            yield opened.run(inputs)


def _of_weights(weights: Weights) -> Iterator[ScaleFacts]:
    packed = packed_of(weights)
    for name in sorted(packed.specs):
        if name.endswith(SCALES):
            yield scale_facts(name, packed.read(name))
