"""Every kind of fault that can be planted, with the words that explain it."""

from collections.abc import Mapping
from types import MappingProxyType

from faults import settings, values, wiring
from faults.place import Kind

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "kernel-transposed": Kind(
            group="weights", causes=("transposed-kernel", "wrong-layout"), places=values.kernel_transposed
        ),
        "bias-missing": Kind(group="weights", causes=("missing-bias", "zeroed-weights"), places=values.bias_missing),
        "bias-doubled": Kind(group="weights", causes=("doubled-bias", "scaled-weights"), places=values.bias_doubled),
        "bias-halved": Kind(group="weights", causes=("scaled-weights",), places=values.bias_halved),
        "gain-left-at-one": Kind(
            group="weights", causes=("stale-weights", "untrained-ln-vision"), places=values.gain_left_at_one
        ),
        "weights-clipped": Kind(group="weights", causes=("clipped-weights",), places=values.weights_clipped),
        "weights-of-another-seed": Kind(
            group="weights", causes=("stale-weights",), places=values.weights_of_another_seed
        ),
        "weights-of-another-layer": Kind(
            group="weights", causes=("stale-weights",), places=values.weights_of_another_layer
        ),
        "weights-exchanged": Kind(
            group="weights", causes=("stale-weights", "wrong-wiring"), places=values.weights_exchanged
        ),
        "weights-noisy": Kind(group="weights", causes=(), places=values.weights_noisy),
        "weights-scaled": Kind(group="weights", causes=("scaled-weights",), places=values.weights_scaled),
        "weights-zeroed": Kind(group="weights", causes=("zeroed-weights",), places=values.weights_zeroed),
        "weights-rounded": Kind(group="dtypes", causes=("rounded-weights",), places=values.weights_rounded),
        "table-rounded": Kind(
            group="dtypes", causes=("half-precision-positions", "rounded-weights"), places=values.table_rounded
        ),
        "table-shifted": Kind(group="order", causes=("wrong-order", "stale-weights"), places=values.table_shifted),
        "query-key-permuted": Kind(group="order", causes=("unpermuted-query-key",), places=values.query_key_permuted),
        "epsilon-larger": Kind(group="attributes", causes=("wrong-epsilon",), places=values.epsilon_larger),
        "epsilon-doubled": Kind(group="attributes", causes=("wrong-epsilon",), places=values.epsilon_doubled),
        "scale-changed": Kind(
            group="attributes", causes=("scaled-weights", "wrong-attribute"), places=values.scale_changed
        ),
        "divisor-less-one": Kind(
            group="attributes", causes=("biased-variance", "scaled-weights"), places=values.divisor_less_one
        ),
        "bounds-halved": Kind(
            group="attributes", causes=("wrong-attribute", "scaled-weights"), places=values.bounds_halved
        ),
        "mask-overflow": Kind(group="masks", causes=("mask-overflow",), places=values.mask_overflow),
        "mask-too-small": Kind(
            group="masks", causes=("scaled-weights", "wrong-attribute"), places=values.mask_too_small
        ),
        "resize-rounded": Kind(
            group="attributes", causes=("nearest-rounding", "wrong-attribute"), places=settings.resize_rounded
        ),
        "padding-moved": Kind(
            group="attributes", causes=("wrong-padding-side", "wrong-attribute"), places=settings.padding_moved
        ),
        "dilated": Kind(group="attributes", causes=("wrong-attribute",), places=settings.dilated),
        "axis-changed": Kind(
            group="attributes", causes=("wrong-norm-axis", "wrong-attribute"), places=settings.axis_changed
        ),
        "groups-changed": Kind(
            group="attributes", causes=("wrong-norm-axis", "wrong-attribute"), places=settings.groups_changed
        ),
        "rotary-halves": Kind(
            group="order",
            causes=("swapped-rotary-halves", "wrong-order", "wrong-wiring", "wrong-attribute"),
            places=wiring.rotary_halves,
        ),
        "operands-swapped": Kind(group="wiring", causes=("swapped-inputs",), places=wiring.operands_swapped),
        "operator-replaced": Kind(group="wiring", causes=("wrong-operator",), places=wiring.operator_replaced),
        "input-rewired": Kind(group="wiring", causes=("wrong-wiring",), places=wiring.input_rewired),
        "outputs-exchanged": Kind(
            group="wiring",
            causes=("wrong-wiring", "wrong-order", "swapped-rotary-halves"),
            places=wiring.outputs_exchanged,
        ),
        "input-rounded": Kind(
            group="dtypes", causes=("wrong-dtype", "narrow-accumulator"), places=wiring.input_rounded
        ),
        "perm-changed": Kind(group="order", causes=("wrong-layout", "wrong-attribute"), places=settings.perm_changed),
        "concat-reversed": Kind(
            group="order", causes=("wrong-order", "swapped-rotary-halves"), places=wiring.concat_reversed
        ),
        "slice-moved": Kind(group="attributes", causes=("wrong-attribute",), places=settings.slice_moved),
        "attention-changed": Kind(group="masks", causes=("wrong-attribute",), places=settings.attention_changed),
        "gelu-by-tanh": Kind(group="attributes", causes=("tanh-gelu", "wrong-attribute"), places=settings.gelu_by_tanh),
        "activation-fused": Kind(group="attributes", causes=("wrong-attribute",), places=settings.activation_fused),
        "depth-order-changed": Kind(
            group="order", causes=("wrong-layout", "wrong-attribute"), places=settings.depth_order_changed
        ),
        "comparison-changed": Kind(group="masks", causes=("wrong-operator",), places=wiring.comparison_changed),
        "operand-repeated": Kind(group="wiring", causes=("wrong-wiring",), places=wiring.operand_repeated),
        "operator-skipped": Kind(group="wiring", causes=("wrong-wiring",), places=wiring.operator_skipped),
        "integer-off-by-one": Kind(
            group="attributes", causes=("wrong-attribute", "scaled-weights"), places=values.integer_off_by_one
        ),
        "sign-flipped": Kind(
            group="attributes",
            causes=("scaled-weights", "wrong-attribute", "wrong-epsilon"),
            places=values.sign_flipped,
        ),
        "variance-unbiased": Kind(
            group="attributes", causes=("biased-variance", "scaled-weights"), places=values.variance_unbiased
        ),
        "weight-damaged": Kind(group="weights", causes=(), places=values.weight_damaged),
        "computed-in-half": Kind(
            group="dtypes", causes=("narrow-accumulator", "wrong-dtype"), places=wiring.computed_in_half
        ),
    }
)
