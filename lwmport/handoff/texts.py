"""The texts of a bundle for people: README.txt, NOTICE.txt and spec.md."""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

from lwmport.handoff.record import ComponentSpec, Processing, Sample, Spec
from lwmport.models.spec import FamilySpec
from lwmport.targets.registry import TARGETS
from lwmport.types import TensorSpec, Tolerance

WIDTH: Final = 119
"""Columns of a text."""

FROM_FILES: Final = "python verify.py --outputs DIR"
"""How outputs are judged that whatever ran the models has written."""


def readme(
    spec: Spec, scripts: tuple[str, ...], runtime: str | None, choices: tuple[str, ...] = (), answer: str = ""
) -> str:
    """Return README.txt: what to do, in five steps.

    Args:
        spec: the models.
        scripts: the scripts that compile the components.
        runtime: the runner of verify.py that runs the models as they are; None if it has none.
        choices: what the models depend on beside their tensors, a line for each source.
        answer: what was proven before the models were sent, and what was not done; nothing if there is no report.
    """
    target = TARGETS[spec.target]
    models = " ".join(target.verify_model.format(name=part.name) for part in spec.components)
    form = target.verify or FROM_FILES
    run = form.format(models=models, runtime=runtime) if runtime or "{runtime}" not in form else FROM_FILES
    lines = [
        f"{', '.join(part.name for part in spec.components)} for {spec.target}",
        "",
        *(line for text in filter(None, [answer]) for line in (*textwrap.wrap(text, WIDTH), "")),
        "1. Unpack this zip into a folder and go there. To judge needs Python 3.8 or newer and numpy, nothing else.",
        "   python -m zipfile -e BUNDLE.zip FOLDER; cd FOLDER",
        "2. Check that everything arrived: the digests of all files, and the golden samples in themselves.",
        "   python verify.py",
        "3. Compile. Commands, configuration and calibration data lie in compile/; they run from where they lie.",
        *(f"   {line}" for line in (*_steps(scripts), *target.by_hand)),
        "4. Run the compiled models on golden/COMPONENT/SAMPLE/inputs, .npy files. Where raw ones (.bin: C order,",
        "   little-endian) are wanted, this writes them beside them: python verify.py --raw .",
        "   Write each output as DIR/COMPONENT/SAMPLE/OUTPUT.npy or .bin. spec.md tells names, shapes and dtypes.",
        "5. Judge. The exit code is 0 where every output is within its tolerance, 1 where one is not, 3 where nothing",
        "   could be judged; what fails is diagnosed. A model compiled for float16 is judged with --precision float16;",
        "   for int8 no tolerance is promised: read the SQNR in the table.",
        f"   {FROM_FILES}",
        *([f"   {run}"] if run != FROM_FILES else []),
        "   Send DIR back (with a run, --save DIR writes it): lwmport verify BUNDLE.zip --results DIR puts it into the",
        "   report.",
        "",
        f"Reference: {spec.reference}. Weights: {spec.weights}.",
        *(["What they depend on, and where each value came from:"] if choices else []),
        *(f"   {line}" for line in choices),
        "",
        "verify.py        the checker; python verify.py --help",
        "spec.md, .json   tensors, pre- and post-processing, tolerances",
        f"models/          the models{' as they were validated' if answer else ''}, with their manifest",
        "golden/          inputs and the reference's outputs",
        "calibration/     inputs for a quantizer, where compile/ has none of its own",
        "compile/         commands and configuration for the target's compiler",
        "check/           what the target's rules say about each model, and its operators",
        *(["report/          accuracy report of the models on a CPU"] if answer else []),
        "bundle.json      every file with its SHA-256",
    ]
    return "\n".join(lines) + "\n"


def _steps(scripts: tuple[str, ...]) -> Iterable[str]:
    return [f"bash {name}" for name in scripts] or ["nothing to compile: the target runs the models as they are"]


def notice(spec: Spec, family: FamilySpec, samples: Mapping[str, str], version: str, *, seeded: bool) -> str:
    """Return NOTICE.txt: whose work is in the bundle.

    Args:
        spec: the models.
        family: their family, which tells whose work they are.
        samples: work that is shown in golden samples or calibration -> whom to thank for it.
        version: ours.
        seeded: whether the weights are random numbers.
    """
    lines = [f"Made by lwmport {version}, which is licensed under the Apache License 2.0 (LICENSE).", ""]
    lines += [*textwrap.wrap(family.notice, WIDTH), ""] if family.notice else []
    lines.append(f"Weights: {spec.weights}.")
    if seeded:
        lines.append("They are random numbers and nobody's work.")
    else:
        lines.append("They belong to whoever trained them; this bundle grants no right to them.")
        lines += [family.license] if family.license else []
    if samples:
        lines += ["", "Shown in golden/ and calibration/, cut and scaled:"]
        lines += [f"  {name}: {credit}" for name, credit in samples.items()]
    return "\n".join(lines) + "\n"


def markdown(spec: Spec) -> str:
    """Return spec.md: every tensor, what surrounds it, and how it is judged."""
    lines = [f"# Tensors of the models for {spec.target}", "", f"Reference: {spec.reference}. Weights: {spec.weights}."]
    for part in spec.components:
        lines += ["", f"## {part.name}", "", f"`{part.model}`, {part.format}, computes in {part.precision}.", ""]
        lines += _tensors("inputs", part.inputs, part.observed) + _tensors("outputs", part.outputs, part.observed)
        lines += _processing(part.processing) + _tolerances(part) + _samples(part.samples)
        if part.calibration.count:
            lines += ["", f"Calibration: {part.calibration.count} runs in {_folder(part)}."]
    return "\n".join(lines) + "\n"


def _tensors(side: str, specs: tuple[TensorSpec, ...], observed: Mapping[str, tuple[float, float]]) -> list[str]:
    head = [f"| {side} | dtype | shape | layout | range | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    return [*head, *(_tensor(spec, observed.get(f"{side}/{spec.name}")) for spec in specs), ""]


def _tensor(spec: TensorSpec, observed: tuple[float, float] | None) -> str:
    shape = ", ".join(map(str, spec.shape))
    extents = ((spec.value_range, ""), (observed, " in the samples"))
    extent = next((f"{found[0]:.4g} to {found[1]:.4g}{where}" for found, where in extents if found), "")
    return f"| `{spec.name}` | {spec.dtype} | [{shape}] | {spec.layout} | {extent} | {spec.description} |"


def _processing(found: Mapping[str, Processing]) -> list[str]:
    lines = [line for name, what in found.items() for line in (f"`{name}`:", *(f"- {step}" for step in what.steps), "")]
    return ["Before and behind the model:", "", *lines] if lines else []


def _tolerances(part: ComponentSpec) -> list[str]:
    lines = ["| output | computed in | tolerance | why |", "| --- | --- | --- | --- |"]
    for name, by_precision in part.tolerances.items():
        lines += [f"| `{name}` | {key} | {words(limit)} | {limit.why} |" for key, limit in by_precision.items()]
    return lines


def words(tolerance: Tolerance) -> str:
    """Return a tolerance in a few words."""
    if not tolerance.atol and not tolerance.rtol:
        near = tolerance.near_ties
        return (
            "exact" if near is None else f"exact but for near ties (distance {near.distance:g}, share {near.share:g})"
        )
    least = "" if tolerance.min_sqnr_db is None else f", SQNR at least {tolerance.min_sqnr_db:g} dB"
    return f"atol {tolerance.atol:g}, rtol {tolerance.rtol:g}{least}"


def _samples(samples: tuple[Sample, ...]) -> list[str]:
    return ["", "Golden samples:", "", *(f"- `{sample.name}`: {sample.title}" for sample in samples)]


def _folder(part: ComponentSpec) -> str:
    own = f"calibration/{part.name}" if part.calibration.stacked else f"compile/{part.name}"
    return f"`{own}`"
