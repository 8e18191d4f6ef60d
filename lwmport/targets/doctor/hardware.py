"""Checks of processor, memory and disk."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.doctor.check import Check, Trouble, error, warning
from lwmport.targets.doctor.machine import Machine

GB: Final = 10**9
LEAST_MEMORY: Final = 2 * GB
"""What the full-size VQGAN's reference needs."""

GOOD_MEMORY: Final = 8 * GB
"""What one block of the 7B model needs with its reference and its runtime beside each other."""

LEAST_DISK: Final = 2 * GB
GOOD_DISK: Final = 45 * GB
"""A checkpoint of 13.5 GB, its conversion, and the bundle of that."""


def vector_units(machine: Machine) -> Iterator[Trouble]:
    """The processor has what jaxlib and the runtimes are compiled for."""
    if machine.processor not in ("x86_64", "AMD64") or not machine.flags:
        return
    if "avx" not in machine.flags:
        yield error(
            "a processor without AVX: jaxlib and TensorFlow end with an illegal instruction", "use another host"
        )
    elif "avx2" not in machine.flags:
        yield warning("a processor without AVX2: the runtimes are several times slower", "use another host for timing")


def memory(machine: Machine) -> Iterator[Trouble]:
    """There is memory for the job."""
    found = f"{machine.memory / GB:.1f} GB of memory are free"
    if machine.memory < LEAST_MEMORY:
        yield error(found, f"free memory: the full-size picture model needs {LEAST_MEMORY / GB:.0f} GB")
    elif machine.memory < GOOD_MEMORY:
        yield warning(found, f"one block of the 7B model needs {GOOD_MEMORY / GB:.0f} GB; the picture model fits")


def disk(machine: Machine) -> Iterator[Trouble]:
    """There is room for the results in the current folder."""
    found = f"{machine.disk / GB:.1f} GB are free in the current folder"
    if machine.disk < LEAST_DISK:
        yield error(
            found,
            f"go to a folder with more: the picture model in all formats takes {LEAST_DISK / GB:.0f} GB",
        )
    elif machine.disk < GOOD_DISK:
        yield warning(found, f"a 7B model with its bundle takes {GOOD_DISK / GB:.0f} GB; the picture model fits")


CHECKS: Final = (
    Check(name="vector-units", look=vector_units),
    Check(name="memory", look=memory),
    Check(name="disk", look=disk),
)
