"""The ways in which a model may run on this machine's processor, the usual one first.

What was measured to help nowhere is not among them: ONNX Runtime without its arena took 1.11 of the time with it for
the VQGAN's decoder, and a model that it has rewritten ahead runs as fast as one that it rewrites when it opens it.
"""

from collections.abc import Iterator
from typing import Final

from lwmport.processors import cores, described, processors
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.contender import Contender
from lwmport.targets.cpu.engines import ENGINES, PRECISIONS

UNITS: Final = ("amx_bf16", "avx512_bf16")
"""What Linux calls the units for bfloat16 of a processor: matrix tiles, or vectors."""


def contenders(form: str, *, integers: bool) -> tuple[Contender, ...]:
    """Return the ways of a format; those with products in 8 bits only for ``integers``, a model with such weights."""
    return tuple(_ways(form, integers=integers))


def _ways(form: str, *, integers: bool) -> Iterator[Contender]:
    for engine in ENGINES.get(form, ()):
        lack = RUNNERS[engine].why_not()
        for precision in PRECISIONS[engine]:
            if precision == "int8" and not integers:
                continue
            for threads in dict.fromkeys((processors(), cores())):
                yield Contender(
                    engine=engine, precision=precision, threads=threads, lack=lack or _without_units(precision)
                )


def _without_units(precision: str) -> str:
    flags = (described("flags") or "").split()
    if precision != "bfloat16" or set(UNITS) & set(flags):
        return ""
    return f"expected a processor with {' or '.join(UNITS)}, found one without units for bfloat16"
