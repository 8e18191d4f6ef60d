"""NVIDIA's cards: told, although they are no target."""

from collections.abc import Mapping
from typing import Final

from lwmport.targets.doctor.cards import MIB, Card
from lwmport.targets.doctor.doctor import Doctor


def nvidia_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the cards of ``nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader``."""
    rows = [[cell.strip() for cell in line.split(",")] for line in said["nvidia-smi"].splitlines()]
    return [
        Card(
            vendor="NVIDIA",
            index=index,
            name=row[0],
            target="",
            memory=int(row[1].split()[0]) * MIB if row[1].split()[0].isdecimal() else None,
            driver=row[2],
        )
        for index, row in enumerate(row for row in rows if len(row) == 3)
    ]


NVIDIA: Final = Doctor(
    commands={"nvidia-smi": ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")},
    cards={"nvidia-smi": nvidia_smi},
)
