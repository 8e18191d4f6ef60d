"""The cards of a machine, read from what the vendors' own tools print."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lwmport.targets.doctor.machine import Machine

MIB: Final = 2**20

DCU_CHIPS: Final = {
    "Z100": "gfx906",
    "Z100L": "gfx906",
    "K100": "gfx926",
    "K100_AI": "gfx928",
    "BW": "gfx936",
    "BW1000": "gfx936",
    "BW500SM": "gfx936",
}
"""Hygon's name of a card -> its architecture, where a source gives it."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One card, or one chip of it. ``soc`` is what ``lwmport compile --soc`` takes, empty where that is not known."""

    vendor: str
    index: int
    name: str
    target: str
    soc: str = ""
    memory: int | None = None
    health: str = "OK"
    driver: str = ""


def cards(machine: Machine) -> tuple[Card, ...]:
    """Return the cards of all vendors, in the order in which their tools name them."""
    return tuple(card for tool, parse in PARSERS.items() if tool in machine.said for card in parse(machine.said))


def npu_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the chips of ``npu-smi info``: a row with name and health, and a row with memory, for each.

    A table of processes follows, whose rows look alike: it ends the reading.
    """
    text = said["npu-smi"]
    driver = re.search(r"Version:\s*(\S+)", text)
    found: list[Card] = []
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    for row in rows:
        if "Process" in " ".join(row):
            break
        first = row[0].split()
        if len(row) == 3 and len(first) == 2 and not first[1].isdecimal() and first[0].isdecimal():
            found.append(
                Card(
                    vendor="Huawei",
                    index=int(first[0]),
                    name=first[1],
                    target="ascend",
                    soc=first[1] if first[1].startswith("Ascend") else f"Ascend{first[1]}",
                    health=row[1],
                    driver=driver.group(1) if driver else "",
                )
            )
        elif len(row) == 3 and found and found[-1].memory is None:
            sizes = re.findall(r"(\d+)\s*/\s*(\d+)", row[2])
            if sizes:
                found[-1] = _with_memory(found[-1], int(sizes[-1][1]))
    return found


def hy_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the cards of ``hy-smi``; their names come from ``--showproductname``, if that was asked."""
    named = re.findall(r"\[(\d+)\]\s*:\s*(?:Card [Ss]eries|device|Device):\s*(\S+)", said.get("hy-smi names", ""))
    names = {int(index): name for index, name in named}
    rows = re.findall(r"^(\d+)\s+([\d.]+C|N/A)\s.*?(\S+)\s*$", said["hy-smi"], re.MULTILINE)
    return [
        Card(
            vendor="Hygon",
            index=int(index),
            name=names.get(int(index), "DCU"),
            target="migraphx",
            soc=DCU_CHIPS.get(names.get(int(index), ""), ""),
            health="OK" if mode == "Normal" else mode,
        )
        for index, _, mode in rows
    ]


def rocm_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the cards of ``rocm-smi --showproductname``; on a DCU this is ``hy-smi`` under another name."""
    if "hy-smi" in said:
        return []
    rows = re.findall(r"GPU\[(\d+)\]\s*:\s*([^:]+):\s*(.*)", said["rocm-smi"])
    facts: dict[int, dict[str, str]] = {}
    for index, key, value in rows:
        facts.setdefault(int(index), {})[key.strip().lower()] = value.strip()
    return [
        Card(
            vendor="AMD",
            index=index,
            name=known.get("card series") or known.get("card model") or "GPU",
            target="migraphx",
            soc=known.get("gfx version", ""),
        )
        for index, known in facts.items()
    ]


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


def _with_memory(card: Card, mib: int) -> Card:
    return replace(card, memory=mib * MIB)


PARSERS: Final[Mapping[str, Callable[[Mapping[str, str]], list[Card]]]] = {
    "npu-smi": npu_smi,
    "hy-smi": hy_smi,
    "rocm-smi": rocm_smi,
    "nvidia-smi": nvidia_smi,
}
"""Tool -> the cards in what it printed."""
