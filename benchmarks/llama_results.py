"""What one run of the LLaMA benchmark found, as Markdown that reads well in a terminal too, and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llama_contenders import BASELINE, CONTENDERS
from llama_conversions import FOLDER
from llama_full import Full, full_markdown
from llama_races import STAGES, Result
from measure import Ratio
from processes import Cost
from tables import aligned, gigabytes

SUMMARY = ("of lwmport's", "conversion, seconds", "its anonymous memory", "prefill, seconds", "decode, seconds")
COSTS = ("conversion of", "seconds, median", "peak memory", "of that anonymous")
RUNS = ("tokens a second, median (best)", "prefill", "decode", "max difference of logits", "peak memory")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was measured, and on what; and who could not take part, and why."""

    setting: Mapping[str, Any]
    costs: Mapping[str, Cost]
    results: Mapping[str, Result]
    left_out: Mapping[str, str]
    full: Full | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return asdict(self)


def markdown(findings: Findings) -> str:
    """Return the findings as Markdown: ratios first, then what they are of."""
    parts = [_setting(findings)]
    if findings.costs or findings.results:
        parts += [_summary(findings), _conversions(findings), _runs(findings)]
    if findings.full is not None:
        parts.append(f"**The whole model, float16, beside cp of the same bytes**\n\n{full_markdown(findings.full)}")
    parts += [f"Left out: {CONTENDERS[name].title}: {reason}" for name, reason in findings.left_out.items()]
    return "\n\n".join(parts) + "\n"


def _summary(findings: Findings) -> str:
    rows = [list(SUMMARY)]
    for name, contender in CONTENDERS.items():
        if name in findings.costs or name in findings.results:
            rows.append([contender.title, *_cost_ratios(findings.costs, name), *_speed_ratios(findings.results, name)])
    return f"**Ratios: below 1 is less than lwmport**\n\n{aligned(rows)}"


def _cost_ratios(costs: Mapping[str, Cost], name: str) -> list[str]:
    if name not in costs or BASELINE not in costs:
        return ["", ""]
    own, base = costs[name], costs[BASELINE]
    return [f"{own.seconds / base.seconds:.2f}", f"{own.peak_anonymous_bytes / base.peak_anonymous_bytes:.2f}"]


def _speed_ratios(results: Mapping[str, Result], name: str) -> list[str]:
    if name not in results:
        return ["", ""]
    return [_ratio(results[name].stages[stage].ratio) for stage in STAGES]


def _conversions(findings: Findings) -> str:
    rows = [list(COSTS)]
    for name, cost in findings.costs.items():
        title = "the folder that the others read: lwmport --to hf" if name == FOLDER else CONTENDERS[name].title
        numbers = [f"{cost.seconds:.1f}", gigabytes(cost.peak_bytes), gigabytes(cost.peak_anonymous_bytes)]
        rows.append([title, *numbers])
    return f"**Conversion**\n\n{aligned(rows)}"


def _runs(findings: Findings) -> str:
    rows = [list(RUNS)]
    for name, result in findings.results.items():
        speeds = [result.stages[stage] for stage in STAGES]
        rows.append(
            [
                CONTENDERS[name].title,
                *(f"{speed.tokens_per_second:.2f} ({speed.best_tokens_per_second:.2f})" for speed in speeds),
                f"{result.max_difference:.1e}",
                gigabytes(result.peak_bytes),
            ]
        )
    return f"**Runs**\n\n{aligned(rows)}"


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _setting(findings: Findings) -> str:
    own = findings.setting
    if findings.full is not None:
        counted = f"{own['layers']} layers, {own['rounds']} rounds of both in turns, from a cold cache"
    else:
        counted = (
            f"{own['layers']} layers, {own['threads']} threads of {own['cores']} cores, float32, batch 1, prefill of "
            f"{own['prefill']} tokens, decode of {own['decode']} single tokens behind them, medians of {own['rounds']} "
            f"rounds and {own['conversions']} conversions in turns"
        )
    apart = [
        f" {CONTENDERS[name].title} in an environment of its own: {_versions(other)}."
        for name, other in own.get("environments", {}).items()
    ]
    return f"Configuration {own['config']}, {counted}. {own['processor']}, {_versions(own)}.{''.join(apart)}"


def _versions(own: Mapping[str, Any]) -> str:
    return ", ".join([f"Python {own['python']}", *(f"{name} {version}" for name, version in own["versions"].items())])
