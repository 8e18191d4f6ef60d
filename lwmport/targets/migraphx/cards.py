"""The cards of Hygon and AMD, read from what ``hy-smi`` and ``rocm-smi`` print."""

import re
from collections.abc import Mapping
from typing import Final

from lwmport.targets.doctor.cards import Card, Parsers

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


CARDS: Final[Parsers] = {"hy-smi": hy_smi, "rocm-smi": rocm_smi}
