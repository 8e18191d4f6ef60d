"""What each number means: its formula, with d = candidate - reference, r = reference, c = candidate."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Term:
    """A number's name, its formula and what to know about it."""

    name: str
    formula: str
    note: str


RULE: Final = "|candidate − reference| ≤ atol + rtol · |reference|, at every element, in float64"

TERMS: Final = (
    Term(name="Largest error", formula="max |d|", note="A NaN, or an infinity on one side only, counts as infinite."),
    Term(name="Mean error", formula="mean |d|", note=""),
    Term(
        name="Relative error",
        formula="|d| / max(|r|, 0.01 · RMS(r))",
        note="Nearer to zero than 1 % of the reference's root mean square, a quotient by |r| would measure how small "
        "r is, not how good the port is.",
    ),
    Term(name="RMSE", formula="√ mean d²", note="Root mean square error."),
    Term(name="Cosine", formula="r·c / (|r| |c|)", note="Of the flattened tensors; printed as 1 − x near 1."),
    Term(
        name="SQNR",
        formula="10 log₁₀(Σ r² / Σ d²)",
        note="Signal to quantisation noise ratio in decibels; 6 dB are one bit; ∞ when nothing differs.",
    ),
    Term(
        name="PSNR",
        formula="10 log₁₀(L² / mean d²)",
        note="Peak signal to noise ratio of one picture in decibels. L is the data range, 2 for pixels in [−1, 1].",
    ),
    Term(
        name="SSIM",
        formula="mean of (2·μr·μc + k₁)(2·σrc + k₂) / ((μr² + μc² + k₁)(σr² + σc² + k₂))",
        note="Structural similarity of one picture (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004), in a "
        "Gaussian window of σ 1.5 and 11 pixels, population covariance, k₁ = (0.01 L)², k₂ = (0.03 L)², "
        "mean over channels; of pixels that count from 0.",
    ),
    Term(
        name="Tolerance used",
        formula="max |d| / (atol + rtol |r|)",
        note="100 % and below passes. How much room is left before the verdict turns.",
    ),
    Term(
        name="Mismatches",
        formula="number of c ≠ r",
        note="Integers are exact: one mismatch among millions fails the output, but for near ties where float16 or "
        "bfloat16 is computed in.",
    ),
    Term(
        name="Near ties",
        formula="mismatches with a tie distance within the tolerance",
        note="Another code that is as good: rounding to float16 or bfloat16 moved the vector across. The states are "
        "then held against the code that was chosen. More of them than the tolerance admits, and none is excused.",
    ),
    Term(
        name="Tie distance",
        formula="|D(c) − D(r)| / (2 ‖e(c) − e(r)‖ · RMS of all vectors)",
        note="D is the squared distance from the vector to the code e that each side chose: how far the vector lies "
        "from the plane halfway between the two codes, in parts of the vectors' size. 1e-7 is a tie that float32 "
        "cannot decide, 1e-3 one that float16 cannot; a large one is a wrong code.",
    ),
)
