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
    "K100_LC": "gfx926",
    "K100_AI": "gfx928",
    "BW": "gfx936",
    "BW1000": "gfx936",
    "BW500SM": "gfx936",
}
"""Hygon's name of a card -> its architecture, where a source gives it."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One card, or one chip of it, ``chip``. ``soc`` is what ``lwmport compile --soc`` takes, empty if unknown."""

    vendor: str
    index: int
    name: str
    target: str
    soc: str = ""
    chip: int = 0
    memory: int | None = None
    health: str = "OK"
    driver: str = ""


def cards(machine: Machine) -> tuple[Card, ...]:
    """Return the cards of all vendors, in the order in which their tools name them."""
    return tuple(card for tool, parse in PARSERS.items() if tool in machine.said for card in parse(machine.said))


def npu_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the chips of ``npu-smi info``: a row with name and health, then a row with memory, for each.

    The rows are told apart by their order alone: a chip may be called 310, and its second row may lack its place on the
    bus. A table of processes follows, whose rows look alike: it ends the reading.
    """
    text = said["npu-smi"]
    driver = re.search(r"Version:\s*(\S+)", text)
    found: list[Card] = []
    named = False
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    for row in rows:
        if "Process" in " ".join(row):
            break
        first = row[0].split()
        if len(row) != 3 or not first or not first[0].isdecimal():
            continue
        if named:
            sizes = re.findall(r"(\d+)\s*/\s*(\d+)", row[2])
            memory = int(sizes[-1][1]) * MIB if sizes else None
            found[-1] = replace(found[-1], chip=int(first[0]), memory=memory)
        elif len(first) > 1:
            name = first[1].removeprefix("Ascend")
            found.append(
                Card(
                    vendor="Huawei",
                    index=int(first[0]),
                    name=first[1],
                    target="ascend",
                    soc=f"Ascend{name}",
                    health=row[1],
                    driver=driver.group(1) if driver else "",
                )
            )
        named = not named and len(first) > 1
    return found


def hy_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the cards of ``hy-smi``; their names come from ``--showproductname``, if that was asked.

    Its columns differ between versions: only where the last one is called Mode does it say how a card is, and N/A there
    is no fault.
    """
    return _dcus(said["hy-smi"], _facts(said.get("hy-smi names", "")))


def _dcus(table: str, names: Mapping[int, Mapping[str, str]]) -> list[Card]:
    has_mode = bool(re.search(r"^\s*(?:DCU|HCU|GPU)\s+Temp\b.*\bMode\s*$", table, re.MULTILINE))
    rows = re.findall(r"^\s*(\d+)\s+(?:[\d.]+°?[Cc]|N/A)\s.*?(\S+)\s*$", table, re.MULTILINE)
    modes = {int(index): mode if has_mode else "" for index, mode in rows} or dict.fromkeys(names, "")
    return [
        Card(
            vendor="Hygon",
            index=index,
            name=_name(names.get(index, {}), "DCU"),
            target="migraphx",
            soc=DCU_CHIPS.get(_name(names.get(index, {}), ""), ""),
            health="OK" if mode in ("Normal", "N/A", "") else mode,
        )
        for index, mode in modes.items()
    ]


def _name(known: Mapping[str, str], usual: str) -> str:
    return known.get("card series") or known.get("device") or known.get("card model") or usual


def _facts(text: str) -> dict[int, dict[str, str]]:
    """Return the lines of ``--showproductname`` as card -> key in small letters -> value."""
    found: dict[int, dict[str, str]] = {}
    for index, key, value in re.findall(r"(?:GPU|DCU|HCU)\[(\d+)\]\s*:\s*([^:\n]+):[ \t]*(.*)", text):
        found.setdefault(int(index), {})[key.strip().lower()] = value.strip()
    return found


def rocm_smi(said: Mapping[str, str]) -> list[Card]:
    """Return the cards of ``rocm-smi --showproductname``; on a DCU this is ``hy-smi`` under another name."""
    if "hy-smi" in said:
        return []
    text = said["rocm-smi"]
    facts = _facts(text)
    if re.search(r"^(?:DCU|HCU)\[", text, re.MULTILINE) or any(
        _name(known, "") in DCU_CHIPS for known in facts.values()
    ):
        return _dcus("", facts)
    return [
        Card(
            vendor="AMD",
            index=index,
            name=_name(known, "GPU"),
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


PARSERS: Final[Mapping[str, Callable[[Mapping[str, str]], list[Card]]]] = {
    "npu-smi": npu_smi,
    "hy-smi": hy_smi,
    "rocm-smi": rocm_smi,
    "nvidia-smi": nvidia_smi,
}
"""Tool -> the cards in what it printed."""
