"""A report's folder: report.json is the truth, report.html and report.md are made from it and the pictures."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lwmport import atomic, digest, manifest, owned, plain
from lwmport.errors import ArtifactError, UsageError
from lwmport.reports import render
from lwmport.reports.answer import answered, overall
from lwmport.reports.changed import as_it_runs
from lwmport.reports.record import ComponentReport, Picture, Report, validation_digest
from lwmport.small_files import read_small
from lwmport.types import Severity, Status, TensorDiff, Validation
from lwmport.validators.metrics import RECORDS, as_mapping
from lwmport.validators.outputs import summarise
from lwmport.verdicts import Fault, file_faults

FAMILY: Final = "lwmport-report/"
FORMAT: Final = f"{FAMILY}2"
SEAL: Final = "seal"
"""The digest of everything else in report.json; one of an earlier version has none."""
FILES: Final = "files"
"""The digests of the other files of a report."""

NAMES: Final = ("report.html", "report.json", "report.md", "pictures")
"""What a report writes into its folder."""

listed: Final = owned.listed(Path("report.json"), FORMAT)
"""The files of a report that an earlier run has left in a folder (`lwmport.owned.Reader`)."""

PICTURE_PATH: Final = re.compile(r"pictures/[a-z0-9][a-z0-9._-]{0,120}\.png")
PNG: Final = b"\x89PNG\r\n\x1a\n"
JSON_LIMIT: Final = 32 << 20
PICTURE_LIMIT: Final = 32 << 20
NO_PICTURES: Final[Mapping[str, bytes]] = MappingProxyType({})


def write_report(report: Report, folder: Path, pictures: Mapping[str, bytes] = NO_PICTURES) -> None:
    """Write report.html, report.json, report.md and the pictures into a folder that exists.

    Args:
        report: the numbers.
        folder: where; wrap it in `lwmport.atomic.new_folder` for all or nothing.
        pictures: PNG files by `Picture.path`, as `lwmport.reports.pictures.draw` returns them. Those left out are
            read from ``folder``.

    Raises:
        ArtifactError: a picture is in neither place, or is not the one that the report names.
    """
    found = {picture.path: _picture(picture, folder, pictures) for picture in _pictures(report)}
    for path, content in found.items():
        if path in pictures:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
    made = {"report.html": render.html(report, found).encode(), "report.md": render.markdown(report).encode()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in {**found, **made}.items()}
    value = {"format": FORMAT, **plain.encode(report), FILES: digests}
    text = json.dumps({**value, SEAL: digest.of_json(value)}, indent=1, ensure_ascii=False, allow_nan=False)
    for name, content in {"report.json": f"{text}\n".encode(), **made}.items():
        (folder / name).write_bytes(content)


def read_report(folder: Path) -> Report:
    """Return the report that a folder's report.json holds.

    Raises:
        ArtifactError: there is none, it is damaged, or its parts contradict each other. Its verdict must follow from
            its outputs, its pictures must lie in the folder and match their digests.
    """
    value = _json(folder / "report.json")
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ArtifactError(f"{folder / 'report.json'}: expected the format {FORMAT}; write it again with this version")
    seal = value.pop(SEAL, None)
    broken = seal is not None and seal != digest.of_json(value)
    del value["format"]
    value.pop(FILES, None)
    report = plain.decode(Report, value, "report.json")
    report = replace(report, components=tuple(map(_component, report.components)))
    _check_verdict(report)
    for picture in _pictures(report):
        _picture(picture, folder, NO_PICTURES)
    if broken:
        raise ArtifactError(f"{folder / 'report.json'}: expected it as it was written, found its seal broken")
    return report


def rechecked(report: Report, folder: Path) -> Report:
    """Return a report with the verdict that it has now: on models that lie beside it, their digests decide too.

    Where the models lie elsewhere, the report speaks of those that it names by their digests, and nothing is compared.

    Raises:
        ArtifactError: the manifest in ``folder`` is damaged.
    """
    if not (folder / manifest.NAME).is_file():
        return answered(replace(report, components=tuple(_beside(part, folder) for part in report.components)))
    promised = {part.name: part for part in manifest.read(folder).components}
    judged = {part.validation.component for part in report.components}
    stranger = Fault(status=Status.FAILED, reason=f"{manifest.NAME} names other models than those that were judged")
    if not judged & promised.keys():
        parts = [replace(part, faults=(stranger,)) for part in report.components]
        return answered(replace(report, components=tuple(parts)))
    parts = [
        replace(part, faults=_faults(part, folder, promised[part.validation.component], stranger))
        if part.validation.component in promised
        else part
        for part in report.components
    ]
    left_out = tuple(name for name in promised if name not in judged)
    return answered(replace(report, components=tuple(parts), left_out=left_out))


def rewrite(report: Report, folder: Path) -> None:
    """Write a report over the one in a folder, with the pictures that lie there.

    Raises:
        ArtifactError: a picture is not the one that the report names.
        PortError: the folder cannot be written.
    """
    with (
        told_of_older(folder),
        atomic.new_folder(folder, last="report.json", owned=owned.Earlier(listed)) as scratch,
    ):
        write_report(report, scratch, pictures_in(report, folder))


@contextlib.contextmanager
def told_of_older(folder: Path) -> Iterator[None]:
    """Let an error about what is in the way say, where the report there lists no files, what can be deleted.

    Earlier versions noted no digests: nothing tells whether somebody has edited a page of theirs.

    Raises:
        UsageError: as inside the block.
    """
    try:
        yield
    except UsageError as error:
        pages = older_pages(folder)
        if not pages:
            raise
        raise UsageError(
            f"{error}; an earlier version of lwmport wrote report.json there and did not list its pages: if nobody "
            f"edited them, delete {', '.join(pages)} in {folder}"
        ) from error


def older_pages(folder: Path) -> tuple[str, ...]:
    """Return what belongs to a report of an earlier version that lies in a folder; nothing for any other report."""
    found = owned.json_record(folder / "report.json")
    if found is None or not str(found.get("format", "")).startswith(FAMILY) or FILES in found:
        return ()
    return tuple(name for name in NAMES if (folder / name).exists())


def pictures_in(report: Report, folder: Path) -> dict[str, bytes]:
    """Return the pictures that lie in a folder of a report, by path.

    Raises:
        ArtifactError: a picture is not the one that the report names.
    """
    return {picture.path: _picture(picture, folder, NO_PICTURES) for picture in _pictures(report)}


def _beside(part: ComponentReport, folder: Path) -> ComponentReport:
    """Return what is known of a component whose files may lie beside the report, though no manifest does."""
    there = [file for file in part.artifact.files if (folder / file.name).is_file()]
    changed = as_it_runs(part, folder, file_faults(folder, there))
    return replace(part, faults=tuple(dict.fromkeys((*part.faults, *changed))))


def _faults(
    part: ComponentReport, folder: Path, promised: manifest.ComponentEntry, stranger: Fault
) -> tuple[Fault, ...]:
    """Return what is wrong with files: they are not those that were judged, or the manifest promises other ones."""
    found = manifest.part_faults(promised, folder, part.artifact.files)
    judged, told = ({(file.name, file.sha256) for file in files} for files in (part.artifact.files, promised.files))
    if found or judged == told:
        return as_it_runs(part, folder, found)
    return part.faults or (stranger,)  # whoever judged these very files has noted that they are others


def _json(path: Path) -> Any:
    try:
        content = _read(path, JSON_LIMIT)
        return plain.parsed(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: expected a report as JSON, found damage: {error}") from error


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_small(path, limit)
    except OSError as error:
        raise ArtifactError(f"{path}: expected a file of a report, found: {error.strerror}") from error


def _component(part: ComponentReport) -> ComponentReport:
    diffs = tuple(map(_diff, part.validation.diffs))
    return replace(part, validation=replace(part.validation, diffs=diffs))


def _diff(diff: TensorDiff) -> TensorDiff:
    """Metrics are an open mapping in `TensorDiff`; here each kind's record says what must be in it."""
    if not diff.metrics:
        return diff
    metrics = plain.decode(RECORDS[diff.kind], diff.metrics, f"report.json: metrics of {diff.name!r}")
    return replace(diff, metrics=as_mapping(metrics))


def _check_verdict(report: Report) -> None:
    for part in report.components:
        _check_validation(part.validation)
        _check_preflight(part)
        for link in part.digests:
            if link.name == "validation" and link.sha256 != validation_digest(part.validation):
                raise ArtifactError(f"report.json: the digest of {part.validation.component!r} is not of its numbers")
    if report.status is not overall(report.components):
        raise ArtifactError(f"report.json: the verdict {report.status} does not follow from the components")


def _check_validation(validation: Validation) -> None:
    found = summarise(validation.diffs)[0]
    if validation.status is Status.NOT_JUDGED and found is not Status.FAILED:
        return
    if validation.status is not found:
        raise ArtifactError(
            f"report.json: the verdict {validation.status} on {validation.component!r} does not follow from its outputs"
        )


def _check_preflight(part: ComponentReport) -> None:
    found = part.preflight
    if found is not None and (found.status is Status.FAILED) != any(
        finding.severity is Severity.ERROR for finding in found.findings
    ):
        raise ArtifactError(
            f"report.json: the preflight of {part.validation.component!r} is {found.status}, which does not follow "
            f"from its findings"
        )


def _pictures(report: Report) -> list[Picture]:
    return [picture for part in report.components for gallery in part.galleries for picture in gallery.pictures]


def _picture(picture: Picture, folder: Path, given: Mapping[str, bytes]) -> bytes:
    """Return the PNG, whose path stays inside the folder and whose bytes are those that the report names."""
    if not PICTURE_PATH.fullmatch(picture.path):
        raise ArtifactError(f"report.json: expected a picture path like pictures/NAME.png, found {picture.path!r}")
    content = given[picture.path] if picture.path in given else _inside(folder, picture.path)
    if not content.startswith(PNG) or hashlib.sha256(content).hexdigest() != picture.sha256:
        raise ArtifactError(f"{folder / picture.path}: expected the PNG with SHA-256 {picture.sha256[:64]!r}")
    return content


def _inside(folder: Path, path: str) -> bytes:
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise ArtifactError(f"{folder / path}: expected a file inside the report's folder, found a link out of it")
    return _read(target, PICTURE_LIMIT)
