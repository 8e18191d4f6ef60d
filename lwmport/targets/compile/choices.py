"""What a compilation depends on beside the model: the device, what its compiler computes in, and who chose each."""

from typing import Final

from lwmport.choices import Choice
from lwmport.targets.registry import TARGETS

FLAG: Final = "--compile-precision"
USUAL: Final = "float32"
"""The precision in which a compiler keeps the dtypes of the model, rather than change them."""


def compile_choices(target: str, form: str, soc: str | None, precision: str | None, model: str) -> tuple[Choice, ...]:
    """Return the choices of a compilation.

    Args:
        target: a key of `TARGETS`.
        form: the format of the model.
        soc: the device that was asked for; None for the usual one.
        precision: what the compiler was asked to compute in; None for the usual one.
        model: the precision of the model itself.
    """
    device = _device(target, form, soc)
    return (Choice("compile precision", *_precision(target, precision, model)), *((device,) if device else ()))


def computed_in(target: str, precision: str | None, model: str) -> str:
    """Return what a compiled model computes in: what its compiler was asked for, or what the model is in already."""
    return _precision(target, precision, model)[0]


def _precision(target: str, precision: str | None, model: str) -> tuple[str, str]:
    asked = TARGETS[target]
    told = precision or asked.precision
    source = FLAG if precision else f"default of {target}"
    if told == USUAL and model != USUAL and not asked.engines:
        return model, f"--precision of the model, which {target} keeps{f' at {FLAG} {told}' if precision else ''}"
    return told, source


def _device(target: str, form: str, soc: str | None) -> Choice | None:
    asked = TARGETS[target]
    usual = next(iter(asked.engine_names(form)), "") if asked.engines else asked.usual_chip
    name = "runtime" if asked.engines else "chip"
    if soc or usual:
        return Choice(name, soc or usual, "--soc" if soc else f"default of {target}")
    return None
