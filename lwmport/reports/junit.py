"""Verdicts as JUnit XML, which every system of continuous integration reads.

There is no standard. This is the part that Jenkins, GitLab and GitHub's actions agree on: ``testsuites`` of one
``testsuite`` of ``testcase`` elements, each with nothing in it, or ``failure``, ``error`` or ``skipped``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from lwmport.types import Status
from lwmport.wording import told

TAGS: Final = {Status.FAILED: "failure", Status.NOT_JUDGED: "error", Status.SKIPPED: "skipped"}
"""Verdict -> the element that says it."""

OURS: Final = b"<?xml version='1.0' encoding='utf-8'?>\n<testsuites name=\"lwmport\""
"""How a file of ours begins, which a new one may replace."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One test case: what was judged in which ``group``, and why the verdict is so."""

    group: str
    name: str
    status: Status
    message: str = ""
    seconds: float | None = None


def document(suite: str, results: Iterable[Result]) -> bytes:
    """Return the XML of one suite; characters that XML cannot hold are written as escapes."""
    found = list(results)
    counts = {
        "tests": len(found),
        **{f"{tag}s": sum(one.status is status for one in found) for status, tag in TAGS.items() if tag != "skipped"},
        "skipped": sum(one.status is Status.SKIPPED for one in found),
    }
    told_counts = {name: str(count) for name, count in counts.items()}
    root = ET.Element("testsuites", {"name": "lwmport", **told_counts})
    whole = ET.SubElement(root, "testsuite", {"name": told(suite), **told_counts})
    for one in found:
        time = {} if one.seconds is None else {"time": f"{one.seconds:.3f}"}
        case = ET.SubElement(whole, "testcase", {"classname": told(one.group), "name": told(one.name), **time})
        if one.status in TAGS:
            message = told(one.message)
            ET.SubElement(case, TAGS[one.status], {"message": message, "type": str(one.status)}).text = message
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def is_ours(path: Path) -> bool:
    """Return whether a file is a document of this package."""
    with path.open("rb") as file:
        return file.read(len(OURS)) == OURS
