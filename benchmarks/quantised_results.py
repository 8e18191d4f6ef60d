"""What one run of the benchmark of quantised LLaMAs found, as Markdown and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from divergence import Divergence
from llama_races import Result
from llama_runners import DECODE, PREFILL
from processes import Cost
from quantised_contenders import CONTENDERS, REFERENCE
from tables import aligned, gigabytes

SPEEDS = ("tokens a second, median (best)", "prefill", "decode", "ratio of seconds: prefill", "decode", "peak memory")
LOSSES = ("against float32", "bits a weight", "KL mean", "median", "99 %", "largest", "same top", "perplexity")
COSTS = ("conversion by its own tool", "seconds", "peak memory", "of that anonymous")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was measured, and on what; and who could not take part, and why."""

    setting: Mapping[str, Any]
    bits: Mapping[str, float]
    costs: Mapping[str, Cost]
    losses: Mapping[str, Divergence]
    results: Mapping[str, Result]
    left_out: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return asdict(self)


def markdown(findings: Findings) -> str:
    """Return the findings as Markdown."""
    parts = [_setting(findings.setting)]
    if findings.losses:
        parts.append(_losses(findings))
    if findings.results:
        parts.append(_speeds(findings))
    parts.append(_costs(findings.costs))
    parts += [f"Left out: {CONTENDERS[name].title}: {reason}" for name, reason in findings.left_out.items()]
    return "\n\n".join(parts) + "\n"


def _losses(findings: Findings) -> str:
    rows = [list(LOSSES)]
    for name, loss in findings.losses.items():
        apart = [f"{value:.4f}" for value in (loss.mean, loss.median, loss.most_of_100, loss.largest)]
        cells = ["0"] * 4 if name == REFERENCE else apart
        rows.append([_title(name), f"{findings.bits[name]:.2f}", *cells, f"{loss.same_top:.3f}"])
        rows[-1].append(f"{loss.perplexity:.2f}")
    return aligned(rows)


def _speeds(findings: Findings) -> str:
    rows = [list(SPEEDS)]
    for name, result in findings.results.items():
        stages = [result.stages[stage] for stage in (PREFILL, DECODE)]
        speeds = [f"{own.tokens_per_second:.1f} ({own.best_tokens_per_second:.1f})" for own in stages]
        ratios = [f"{own.ratio.median:.2f} ({own.ratio.low:.2f}-{own.ratio.high:.2f})" for own in stages]
        rows.append([_title(name), *speeds, *ratios, gigabytes(result.peak_bytes)])
    return aligned(rows)


def _costs(costs: Mapping[str, Cost]) -> str:
    rows = [list(COSTS)]
    for name, cost in costs.items():
        memory = [gigabytes(cost.peak_bytes), gigabytes(cost.peak_anonymous_bytes)]
        rows.append([_title(name), f"{cost.seconds:.1f}", *memory])
    return aligned(rows)


def _title(name: str) -> str:
    return CONTENDERS[name].title


def _setting(own: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in own["versions"].items())
    return (
        f"{own['model']}, {own['parameters']:,} weights, {own['threads']} threads of {own['cores']} cores, batch 1, "
        f"prefill of {own['prefill']} tokens with all logits, decode of {own['decode']} single tokens behind them, "
        f"{own['rounds']} rounds in turns, ratios to {CONTENDERS[own['baseline']].title} in the same round; the load "
        f"of the machine was {own['load']}. Text: {own['text']}. {own['processor']}, Python {own['python']}, "
        f"{versions}."
    )
