"""The cards of Ascend, read from what ``npu-smi`` prints."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lwmport.targets.doctor.cards import MIB, Card, Parsers


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


CARDS: Final[Parsers] = {"npu-smi": npu_smi}
