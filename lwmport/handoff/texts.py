"""The texts of a bundle for people: README.txt, README.zh-CN.txt, NOTICE.txt and spec.md."""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.handoff.answer_in_chinese import in_chinese
from lwmport.handoff.picture_code import picture_code
from lwmport.handoff.record import ComponentSpec, Processing, Sample, Spec
from lwmport.models.spec import FamilySpec
from lwmport.targets.registry import TARGETS
from lwmport.types import TensorSpec, Tolerance

WIDTH: Final = 119
"""Columns of a text."""

FROM_FILES: Final = "python verify.py --outputs DIR"
"""How outputs are judged that whatever ran the models has written."""


READMES: Final = ("README.txt", "README.zh-CN.txt")
"""The names of the two texts of `readmes`."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What both languages of the README say.

    Attributes:
        spec: the models.
        runs: the commands of verify.py that judge.
        steps: the commands that compile; none if there is nothing to compile.
        by_hand: what the target says about its compiler, in English.
        choices: what the models depend on beside their tensors, a line for each source.
        answer: what was proven before the models were sent; empty if there is no report.
    """

    spec: Spec
    runs: tuple[str, ...]
    steps: tuple[str, ...]
    by_hand: tuple[str, ...]
    choices: tuple[str, ...]
    answer: str


def readmes(
    spec: Spec, scripts: tuple[str, ...], runtime: str | None, choices: tuple[str, ...] = (), answer: str = ""
) -> dict[str, str]:
    """Return README.txt and README.zh-CN.txt by their names: what to do, in five steps.

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
    facts = _Facts(
        spec=spec,
        runs=tuple(dict.fromkeys((FROM_FILES, run))),
        steps=tuple(f"bash {name}" for name in scripts),
        by_hand=target.by_hand,
        choices=choices,
        answer=answer,
    )
    return {
        name: "\n".join(lines) + "\n" for name, lines in zip(READMES, (_english(facts), _chinese(facts)), strict=True)
    }


def _english(facts: _Facts) -> Iterable[str]:
    spec, answer = facts.spec, facts.answer
    steps = facts.steps or ("nothing to compile: the target runs the models as they are",)
    return [
        f"{', '.join(part.name for part in spec.components)} for {spec.target}",
        "In Chinese: README.zh-CN.txt",
        "",
        *(line for text in filter(None, [answer]) for line in (*textwrap.wrap(text, WIDTH), "")),
        "1. Unpack this zip into a folder and go there. Judging needs Python 3.8 or newer and numpy, nothing else.",
        "   python -m zipfile -e BUNDLE.zip FOLDER; cd FOLDER",
        "2. Check that everything arrived: the digests of all files, and the golden samples in themselves.",
        "   python verify.py",
        "3. Compile. Commands, configuration and calibration data lie in compile/; they run from where they lie.",
        *(f"   {line}" for line in (*steps, *facts.by_hand)),
        "4. Run the compiled models on golden/COMPONENT/SAMPLE/inputs, .npy files. This writes raw ones (.bin: C",
        "   order, little-endian) beside them, where they are wanted: python verify.py --raw .",
        "   Write each output as DIR/COMPONENT/SAMPLE/OUTPUT.npy or .bin. spec.md tells names, shapes and dtypes.",
        "5. Judge. The exit code is 0 where every output is within its tolerance, 1 where one is not, 3 where nothing",
        "   could be judged; what fails is diagnosed. A model compiled for float16 is judged with --precision float16;",
        "   for int8 no tolerance is promised: read the SQNR in the table.",
        *(f"   {run}" for run in facts.runs),
        "   Send DIR back (with a run, --save DIR writes it): lwmport verify BUNDLE.zip --results DIR puts it into the",
        "   report.",
        "",
        f"Reference: {spec.reference}. Weights: {spec.weights}.",
        *(["What they depend on, and where each value came from:"] if facts.choices else []),
        *(f"   {line}" for line in facts.choices),
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


def _chinese(facts: _Facts) -> Iterable[str]:
    """Return the same in Chinese. What records say in English stays as it is, and is marked."""
    spec, answer = facts.spec, facts.answer
    steps = facts.steps or ("无需编译：目标平台直接运行原模型。",)
    return [
        f"{', '.join(part.name for part in spec.components)}，目标平台：{spec.target}",
        "English: README.txt",
        "",
        *([*_wide(in_chinese(answer)), "发送前的验证结论（英文原文）：", *_indented(answer), ""] if answer else []),
        "1. 把 zip 解压到一个目录，并进入该目录。判定精度只需要 Python 3.8 或更高版本和 numpy。",
        "   python -m zipfile -e BUNDLE.zip FOLDER; cd FOLDER",
        "2. 检查文件是否完整：校验所有文件的摘要，以及 golden 样本自身。",
        "   python verify.py",
        "3. 编译。命令、配置和校准数据都在 compile/ 下，可直接在原位置运行。",
        *(f"   {line}" for line in steps),
        *(["   编译器的补充说明（英文原文）："] if facts.by_hand else []),
        *(f"   {line}" for line in facts.by_hand),
        "4. 用编译好的模型运行 golden/COMPONENT/SAMPLE/inputs 中的输入（.npy 文件）。如需裸数据（.bin：C 顺序、",
        "   小端），下面的命令会把它们写在 .npy 旁边：python verify.py --raw .",
        "   每个输出写成 DIR/COMPONENT/SAMPLE/OUTPUT.npy 或 .bin。名称、shape 和数据类型见 spec.md。",
        "5. 判定。退出码 0：所有输出都在容差之内；1：有输出超出容差；3：无法判定任何输出。",
        "   未通过的输出会给出诊断。按 float16 编译的模型请加 --precision float16；",
        "   int8 不承诺容差，请看表中的 SQNR。",
        *(f"   {run}" for run in facts.runs),
        "   请把 DIR 发回发送方（直接运行模型时，用 --save DIR 保存）：lwmport verify BUNDLE.zip --results DIR",
        "   会把结果写进报告。",
        "",
        f"参考实现（英文原文）：{spec.reference}。权重：{spec.weights}。",
        *(["模型还取决于以下取值，括号内是其来源（英文原文）："] if facts.choices else []),
        *(f"   {line}" for line in facts.choices),
        "",
        "verify.py        检查程序；用法：python verify.py --help",
        "spec.md, .json   张量、前处理和后处理、容差",
        f"models/          模型{'（与验证时完全相同）' if answer else ''}及其 manifest",
        "golden/          输入，以及参考实现的输出",
        "calibration/     量化校准用的输入（compile/ 中已自带时除外）",
        "compile/         目标平台编译器的命令和配置",
        "check/           目标平台规则对每个模型的检查结果，以及模型的算子",
        *(["report/          模型在 CPU 上的精度报告"] if answer else []),
        "bundle.json      所有文件及其 SHA-256",
    ]


def _indented(text: str) -> list[str]:
    return [f"   {line}" for line in textwrap.wrap(text, WIDTH - 3)]


def _wide(text: str) -> list[str]:
    """Return a Chinese conclusion in lines, a sentence each; nothing where there is none."""
    sentences = [f"   {sentence}。" for sentence in text.split("。") if sentence]
    return ["发送前的验证结论：", *sentences, ""] if sentences else []


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
        lines += ["", "These are shown in golden/ and calibration/, cut and scaled:"]
        lines += [f"  {name}: {credit}" for name, credit in samples.items()]
    return "\n".join(lines) + "\n"


def markdown(spec: Spec) -> str:
    """Return spec.md: every tensor, what surrounds it, and how it is judged."""
    lines = [f"# Tensors of the models for {spec.target}", "", f"Reference: {spec.reference}. Weights: {spec.weights}."]
    for part in spec.components:
        lines += ["", f"## {part.name}", "", f"`{part.model}`, {part.format}, computes in {part.precision}.", ""]
        lines += _tensors("inputs", part.inputs, part.observed) + _tensors("outputs", part.outputs, part.observed)
        lines += _processing(part.processing) + _pictures(part) + _tolerances(part) + _samples(part.samples)
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


def _pictures(part: ComponentSpec) -> list[str]:
    """Return the Python that makes each input that is a picture."""
    lines = []
    for spec in part.inputs:
        found = part.processing.get(f"inputs/{spec.name}")
        code = [] if found is None else picture_code(spec, found)
        lines += [f"`{spec.name}` of a picture, in Python:", "", "```python", *code, "```", ""] if code else []
    return lines


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
