"""Checks of this machine's processor as a target."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.doctor.check import Check, Trouble, note
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine


def bfloat16_units(machine: Machine) -> Iterator[Trouble]:
    """Bfloat16 on the CPU is more than a detour."""
    if "openvino" in machine.distributions and not machine.flags & {"avx512_bf16", "amx_bf16"}:
        yield note("no bfloat16 units in this processor", "compile with --precision float32 for the target cpu")


DOCTOR: Final = Doctor(checks=(Check(name="bfloat16-units", look=bfloat16_units),))
