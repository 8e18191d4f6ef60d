"""All causes that a rule knows, in one table: their titles, who finds them, what each proves, and what to do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from lwmport.diagnosis.computed.amounts import other_amounts
from lwmport.diagnosis.computed.dtypes import narrower_sums, narrower_values
from lwmport.diagnosis.computed.kernels import other_kernels, turned_tables
from lwmport.diagnosis.computed.masks import overflown_masks
from lwmport.diagnosis.computed.norms import other_epsilons, other_norms, other_variances
from lwmport.diagnosis.computed.operators import other_operands, other_operators
from lwmport.diagnosis.computed.outputs import other_layouts, other_orders
from lwmport.diagnosis.computed.places import near_ties, rounded_positions
from lwmport.diagnosis.computed.solved import solved_weights
from lwmport.diagnosis.computed.windows import other_paddings, other_settings, other_windows
from lwmport.diagnosis.constants import wrong_constants
from lwmport.diagnosis.evidence import Evidence
from lwmport.diagnosis.settings import wrong_settings
from lwmport.diagnosis.suspicion import Suspicion
from lwmport.diagnosis.wiring import wrong_operator, wrong_wiring

Finder: TypeAlias = Callable[[Evidence], Iterator[Suspicion]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One cause.

    Attributes:
        title: the cause in words, as an explanation begins.
        proves: what the rule takes for proof.
        remedy: what to do, a sentence.
        seen: finds it in the difference between the right operator and the file's.
        computed: finds it by values alone.
    """

    title: str
    proves: str
    remedy: str
    seen: tuple[Finder, ...] = ()
    computed: tuple[Finder, ...] = ()


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "transposed-kernel": Rule(
            title="transposed kernel",
            proves="the file's weight is the right one with two axes exchanged, or the output is that of such a weight",
            remedy="Transpose it when the file is written.",
            seen=(wrong_constants,),
            computed=(other_kernels, solved_weights),
        ),
        "missing-bias": Rule(
            title="missing bias",
            proves="the file's bias is left out or zero, or the output is the right one less the bias",
            remedy="Write the checkpoint's bias into the operator.",
            seen=(wrong_constants, wrong_wiring),
            computed=(other_amounts, solved_weights),
        ),
        "doubled-bias": Rule(
            title="doubled bias",
            proves="the file's bias is twice the right one, or the output has the bias once too often",
            remedy="Add the bias in one place alone.",
            seen=(wrong_constants,),
            computed=(other_amounts, solved_weights),
        ),
        "wrong-epsilon": Rule(
            title="wrong epsilon",
            proves="the epsilon of a norm, or the number that is added in front of a root, is another one",
            remedy="Set the epsilon of the model's configuration.",
            seen=(wrong_settings, wrong_constants),
            computed=(other_norms, other_epsilons),
        ),
        "swapped-rotary-halves": Rule(
            title="swapped rotary halves",
            proves="pairs of a head are taken, or turned, by the other convention of rotary embeddings",
            remedy="Use the convention that query and key weights are stored for.",
            seen=(wrong_settings, wrong_constants, wrong_wiring),
            computed=(other_orders, other_settings, turned_tables, other_kernels, solved_weights),
        ),
        "unpermuted-query-key": Rule(
            title="unpermuted query and key weights",
            proves="the channels of each head are stored for the other convention of rotary embeddings",
            remedy="Permute query and key weights when they are converted, or set the other convention.",
            seen=(wrong_constants,),
            computed=(other_orders, other_kernels, solved_weights),
        ),
        "mask-overflow": Rule(
            title="mask minimum overflowing",
            proves="the number that hides is infinite where it is finite on the other side, or gives NaN",
            remedy="Use a minimum that the dtype has, such as -10000 in float16.",
            seen=(wrong_settings, wrong_constants),
            computed=(overflown_masks,),
        ),
        "half-precision-positions": Rule(
            title="position rounded to half precision",
            proves="rows, angles or indices are those of positions rounded to float16 or bfloat16",
            remedy="Keep positions in int32 or float32.",
            seen=(wrong_settings, wrong_constants, wrong_wiring),
            computed=(rounded_positions, narrower_values),
        ),
        "argmin-near-tie": Rule(
            title="argmin near tie",
            proves="each index that differs is of a value that rounding does not tell from the right one's",
            remedy="This is no fault of the file; compare the quantities that are looked up, not the codes.",
            computed=(near_ties,),
        ),
        "nearest-rounding": Rule(
            title="nearest rounding",
            proves="the resize takes the nearest place by another rule",
            remedy="Set the modes of the resize that the reference has.",
            seen=(wrong_settings,),
            computed=(other_windows,),
        ),
        "wrong-padding-side": Rule(
            title="padding on the wrong side",
            proves="as much is padded, but on the other side of an axis",
            remedy="Set the paddings as the reference has them.",
            seen=(wrong_settings,),
            computed=(other_paddings,),
        ),
        "average-without-padding": Rule(
            title="average without the padding",
            proves="the pool divides by the number of values with the padding on one side, without it on the other",
            remedy="Set count_include_pad as the reference has it, or pad in front of the pool.",
            seen=(wrong_settings,),
            computed=(other_windows,),
        ),
        "wrong-norm-axis": Rule(
            title="wrong axis of a norm",
            proves="the norm, or the mean in it, is along another axis",
            remedy="Set the axis that holds the channels in the file's layout.",
            seen=(wrong_settings,),
            computed=(other_norms,),
        ),
        "biased-variance": Rule(
            title="biased instead of unbiased variance",
            proves="the variance is over n values on one side and over n - 1 on the other",
            remedy="Divide by the count that the reference divides by.",
            seen=(wrong_constants,),
            computed=(other_norms, other_variances),
        ),
        "tanh-gelu": Rule(
            title="tanh for erf GELU",
            proves="the output is that of the tanh approximation of GELU",
            remedy="Use the exact GELU (approximate='none').",
            seen=(wrong_settings, wrong_operator),
            computed=(other_operators,),
        ),
        "clipped-weights": Rule(
            title="clipped weights",
            proves="the file's weight is the right one, cut at a smallest and a largest value",
            remedy="Convert the weight again without clipping.",
            seen=(wrong_constants,),
            computed=(solved_weights,),
        ),
        "stale-weights": Rule(
            title="stale weights",
            proves="the file's weight has wholly other values, spread alike: those of another checkpoint or layer",
            remedy="Convert again from the checkpoint that is compared with.",
            seen=(wrong_constants,),
            computed=(solved_weights,),
        ),
        "narrow-accumulator": Rule(
            title="narrower accumulator",
            proves="the sum is made in another precision by a setting, or the output is that of a sum in 16 bits",
            remedy="Let the operator add up in float32.",
            seen=(wrong_settings,),
            computed=(narrower_sums,),
        ),
        "wrong-layout": Rule(
            title="wrong layout",
            proves="the values are right but in the order of other axes, NCHW read as NHWC, under the right shape",
            remedy="Transpose where the shape alone is changed.",
            seen=(wrong_settings, wrong_constants),
            computed=(other_layouts, solved_weights),
        ),
        "untrained-ln-vision": Rule(
            title="ln_vision left at gamma 1 and beta 0",
            proves="the norm behind the vision tower has gamma 1 and beta 0 where the checkpoint has others",
            remedy="Load ln_vision from the Q-Former's checkpoint (blip2_pretrained_flant5xxl), not from the tower's.",
            seen=(wrong_constants,),
            computed=(other_kernels, other_amounts),
        ),
        "scaled-weights": Rule(
            title="scaled weights",
            proves="the file's weight or number is the right one times one factor, or the output is of such a weight",
            remedy="Remove the factor, or apply it once.",
            seen=(wrong_constants,),
            computed=(other_amounts, solved_weights),
        ),
        "zeroed-weights": Rule(
            title="zeroed weights",
            proves="the file's weight is zero, wholly or in a part, where the right one is not",
            remedy="Write the checkpoint's values; look for a key that was not loaded.",
            seen=(wrong_constants,),
            computed=(other_amounts, solved_weights),
        ),
        "swapped-inputs": Rule(
            title="swapped inputs",
            proves="the operator reads the right inputs in another order",
            remedy="Exchange the inputs.",
            seen=(wrong_wiring,),
            computed=(other_operands, turned_tables),
        ),
        "wrong-operator": Rule(
            title="wrong operator",
            proves="the file has, or the values are those of, another operator on the same inputs",
            remedy="Put the right operator in its place.",
            seen=(wrong_operator, wrong_settings),
            computed=(other_operators, other_norms),
        ),
        "wrong-attribute": Rule(
            title="wrong attribute",
            proves="a setting of the operator has another value",
            remedy="Set it as the reference has it.",
            seen=(wrong_settings, wrong_constants),
            computed=(other_settings,),
        ),
        "wrong-wiring": Rule(
            title="wrong wiring",
            proves="the operator reads another tensor of the same shape",
            remedy="Connect the right tensor.",
            seen=(wrong_wiring, wrong_constants),
            computed=(other_operands,),
        ),
        "wrong-order": Rule(
            title="wrong order",
            proves="the right slices of a weight, or of the output, are in other places, or joined in another order",
            remedy="Put them in the order that the reference has.",
            seen=(wrong_constants, wrong_wiring),
            computed=(other_kernels, other_orders, other_operands, solved_weights),
        ),
        "wrong-dtype": Rule(
            title="wrong dtype",
            proves="a cast is to a narrower dtype, or the values are those of inputs or outputs that pass through one",
            remedy="Remove the cast, or cast to the dtype that the reference computes in.",
            seen=(wrong_settings, wrong_wiring),
            computed=(narrower_values,),
        ),
        "rounded-weights": Rule(
            title="rounded weights",
            proves="the file's weight is float32 but holds the right values rounded to fewer bits",
            remedy="Write the weight from the checkpoint without the narrower dtype between.",
            seen=(wrong_constants,),
            computed=(other_kernels,),
        ),
    }
)
"""Word -> rule."""
