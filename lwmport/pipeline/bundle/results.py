"""What a device made of a bundle's golden samples, judged as verify.py judges it, and put into the report.

The files are found and read, and what fails is diagnosed, by the code of verify.py (`lwmport.handoff.standalone`).
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from lwmport import atomic, extras, owned
from lwmport.errors import ArtifactError, UsageError
from lwmport.handoff import record, standalone
from lwmport.handoff.opening import Archive
from lwmport.handoff.record import ComponentSpec, Sample, Spec
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.pipeline.bundle.replay import compared, reference_of
from lwmport.pipeline.destination import device_name
from lwmport.pipeline.validate.judge import Judgement, component_report
from lwmport.reports.answer import answered, assemble, counted
from lwmport.reports.files import listed, pictures_in, read_report, write_report
from lwmport.reports.record import ComponentReport, Conversion, Destination, Report, WeightsSource
from lwmport.types import Array, Status, TensorDiff
from lwmport.validators.outputs import not_judged, verdict

REPORT: Final = "report/report.json"
LARGEST_JSON: Final = 64 << 20
SUFFIX: Final = "-results"
"""What a report's folder is called beside the bundle, behind the bundle's name."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A folder of outputs that came back, the device that made them, and what its models were compiled to compute in.

    ``out`` is where the report goes.
    """

    folder: Path
    out: Path
    device: str | None = None
    precision: str | None = None


def judge_results(archive: Archive, made: Manifest, spec: Spec, results: Results) -> Report:
    """Write the bundle's report with the verdict on what came back, and return it.

    The report of the bundle stays as it is; each component gets a section more, on the device.

    Raises:
        ArtifactError: there is no folder of outputs, or the bundle's own files cannot be read.
        UsageError: no component of the bundle has tolerances for the precision.
    """
    if not results.folder.is_dir():
        raise ArtifactError(f"expected a folder of outputs, found {results.folder}")
    with tempfile.TemporaryDirectory(prefix="lwmport-results-") as scratch:
        root = Path(scratch)
        for name in archive.entries:
            if name.startswith(("golden/", "report/")):
                archive.unpack(name, root)
        report = read_report(root / "report") if REPORT in archive.entries else _no_report(made)
        known = report.destination
        goal = known.name if known else device_name(spec.target)
        place = _Place(archive=archive, made=made, spec=spec, root=root, results=results, device=results.device or goal)
        sections = [place.section(part) for part in spec.components]
        left = [f"{samples} on {place.device}" for section, samples in sections if samples]
        report = answered(
            replace(
                report,
                components=(*report.components, *(section for section, _ in sections)),
                destination=known if known and known.name == place.device else Destination(name=place.device),
                left_out=(*report.left_out, *left),
                commands=(*report.commands, f"lwmport verify {archive.path.name} --results DIR"),
            )
        )
        with atomic.new_folder(results.out, last="report.json", owned=owned.Earlier(listed)) as folder:
            write_report(report, folder, pictures_in(report, root / "report"))
    return report


def _no_report(made: Manifest) -> Report:
    weights = WeightsSource(kind=made.weights["kind"], description=made.weights["description"])
    versions = extras.versions()
    return assemble(
        title=made.component, weights=weights, components=(), versions=versions, machine="", commands=made.reproduce
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A bundle whose golden files lie unpacked in ``root``, and what came back of it."""

    archive: Archive
    made: Manifest
    spec: Spec
    root: Path
    results: Results
    device: str

    def section(self, part: ComponentSpec) -> tuple[ComponentReport, str]:
        """Return the report on a component on the device, and of which samples nothing came back, in words."""
        own: ComponentEntry = next(found for found in self.made.components if found.name == part.name)
        precision = self.results.precision or part.precision
        diffs: list[TensorDiff] = []
        missing: list[str] = []
        for sample in part.samples:
            found = self._judged(part, sample, precision)
            diffs += found
            missing += [] if found else [sample.name]
        facts: dict[str, Any] = {
            "component": part.name,
            "artifact": part.model,
            "reference": reference_of(self.made),
            "runner": f"{self.device}; its outputs came back in {self.results.folder.name}",
            "inputs": counted(len(part.samples) - len(missing), "golden sample"),
        }
        if diffs:
            validation = verdict(**facts, diffs=tuple(diffs))
        else:
            wanted = f"{part.name}/{part.samples[0].name}/{part.outputs[0].name}"
            reason = f"expected {wanted}.npy or .bin and the like in {self.results.folder}, found no output of it"
            validation = not_judged(**{**facts, "inputs": ""}, reason=reason)
        judgement = Judgement(validation=validation, timings=(), galleries=(), pictures={})
        form, cost = (part.format, self.made.dialect, precision), Conversion(seconds=0.0, peak_bytes=None)
        section = component_report(own, judgement, form, cost, self.made.weights_sha256)
        samples = f"{counted(len(missing), 'golden sample')} of {part.name} ({', '.join(missing)})" if missing else ""
        return replace(section, where=self.device, on_device=True), samples if diffs else ""

    def _judged(self, part: ComponentSpec, sample: Sample, precision: str) -> list[TensorDiff]:
        """Return the verdict on each output of a sample, diagnosed; nothing where none of them came back."""
        judged = self._read(part, sample, precision)
        if all(note.startswith(standalone.UNWRITTEN) for _, _, note in judged):
            return []
        rows = {row.output: row for row in standalone.verdicts(self.root, judged)}
        found = {case.tensor["name"]: array for case, array, _ in judged if array is not None}
        diffs = []
        for diff in compared(self.archive, self.made, part, sample, found, precision):
            name = diff.name.rpartition("/")[2]
            note = rows[name].note if name in rows else ""
            reason = f"{diff.reason}; {note}" if name in found else note
            diffs.append(replace(diff, status=Status.FAILED, reason=reason) if note else diff)
        return diffs

    def _read(self, part: ComponentSpec, sample: Sample, precision: str) -> list[tuple[Any, Array | None, str]]:
        """Return each output of a sample as verify.py reads it: what is expected, what came back, what is wrong."""
        component = self._component(part.name)
        own = next(item for item in component["samples"] if item["name"] == sample.name)
        alone = (len(self.spec.components) == 1, len(part.samples) == 1)
        options = SimpleNamespace(precision=precision, allow_cast=False)
        folder, judged = self.results.folder, []
        try:
            for case in standalone.cases(self.root, component, own, options):
                if precision not in component["tolerances"][case.tensor["name"]]:
                    known = ", ".join(component["tolerances"][case.tensor["name"]])
                    raise UsageError(f"expected --precision out of {known}, found {precision}")
                path = standalone.find_output(folder, case, alone)
                missing = f"{standalone.UNWRITTEN} {standalone.usual_place(folder, case, alone) / case.tensor['name']}"
                read = (None, f"{missing}.npy or .bin") if path is None else standalone.read_output(path, case.expected)
                judged.append((case, *read))
        except standalone.CannotJudgeError as error:
            raise ArtifactError(str(error)) from error
        return judged

    def _component(self, name: str) -> dict[str, Any]:
        spec = record.parse(self.archive.read(record.SPEC_NAME, LARGEST_JSON), record.SPEC_NAME)
        found: dict[str, Any] = next(item for item in spec["components"] if item["name"] == name)
        return found
