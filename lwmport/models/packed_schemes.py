"""Quantised weights in a folder of Hugging Face: which of a model's, and what each reader of such folders takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from lwmport.errors import UnusedOptionError, UsageError
from lwmport.models.huggingface import HfTensor
from lwmport.models.options import Options
from lwmport.models.schemes import GROUPS, SCHEMES, Kept, kept
from lwmport.models.specs import spec_of
from lwmport.types import Component, Scheme


@dataclass(frozen=True, kw_only=True)
class Packing:
    """What the readers of one way to hold quantised weights take.

    Attributes:
        scales: numpy's name of the dtype of scales.
        others: numpy's name of the dtype that weights have which are not quantised.
        channels: kinds of ``--quantize`` with one scale for each output.
        symmetric: kinds that have no zero points.
        outputs: outputs of a matrix that share a word of 32 bits are a whole number of words.
        ranged: kinds whose readers round what is multiplied to numbers that the folder tells, one scale a matrix.
    """

    scales: str = "float32"
    others: str = "float32"
    channels: frozenset[str] = frozenset()
    symmetric: frozenset[str] = frozenset()
    outputs: bool = False
    ranged: frozenset[str] = frozenset()


PACKINGS: Final = {
    "compressed-tensors": Packing(channels=frozenset({"w8a8"}), symmetric=frozenset({"w8a8"})),
    "gptq": Packing(scales="float16", outputs=True),
    "awq": Packing(scales="float16", outputs=True),
    "mindie": Packing(
        others="float16",
        channels=frozenset({"w8a16", "w8a8"}),
        symmetric=frozenset({"w8a8"}),
        ranged=frozenset({"w8a8"}),
    ),
}
"""Name -> what its readers take (`lwmport.types.Dialect.packing`)."""

EVEN_METHODS: Final = ("rtn", "mse")
"""Methods that choose scales above zero, with as many codes on both sides of it."""

HEAD: Final = "lm_head.weight"
"""What readers take as it is computed, by its name in a folder, as they do the table."""


def packed_scheme(usual: Scheme, packing: str) -> Scheme:
    """Return a scheme of ``--quantize`` with what the readers of a packing take where nobody asks for another."""
    own = PACKINGS[packing]
    found = replace(usual, scales=own.scales, even=usual.name in own.ranged)
    return replace(found, group=0, dtype="int8") if usual.name in own.channels else found


def packed_schemes(component: Component, scheme: Scheme, packing: str, rules: Sequence[Kept]) -> dict[str, Scheme]:
    """Return name -> scheme of the weights that a folder does not store as they are computed.

    Quantised are the matrices of layers. The table and the head are not: vLLM, GPTQ's readers and MindIE expect them
    so. Another component than a whole language model has no such folder, and nothing of it is stored so.

    Raises:
        UsageError: the group does not divide the inputs of a matrix, or its outputs fill no whole words.
    """
    found: dict[str, Scheme] = {}
    for tensor in _tensors(component):
        for name, _ in tensor.parts:
            if name in component.kept:
                continue
            rule = next((rule for rule in rules if fnmatchcase(name, rule.pattern)), None)
            is_matrix = len(component.weights[name].shape) == 2
            if is_matrix and rule is None and _is_quantised(tensor):
                _check_sizes(component, name, scheme, PACKINGS[packing])
                found[name] = scheme
            else:
                dtype = rule.dtype if rule is not None and is_matrix else PACKINGS[packing].others
                found |= {name: SCHEMES[dtype]} if dtype in SCHEMES else {}
    return found


def matrices(component: Component) -> list[str]:
    """Return the weights that ``--keep`` may name: the matrices of layers, the table and the head."""
    names = [name for tensor in _tensors(component) for name, _ in tensor.parts]
    return [name for name in names if len(component.weights[name].shape) == 2]


def is_ranged(options: Options) -> bool:
    """Return whether readers have to be told the range of what each matrix is multiplied with."""
    return bool(options.packing) and options.quantize in PACKINGS[options.packing].ranged


def check_packed(options: Options) -> None:
    """Return if no option says how groups or zero points are where there are none, or keeps what readers cut.

    Raises:
        UnusedOptionError: one does.
    """
    own, kind = PACKINGS[options.packing], f"--quantize {options.quantize} in {options.packing}"
    if options.quantize in own.channels and options.group_size:
        found = f"{kind}, which has a scale for each output"
        raise UnusedOptionError(
            f"expected --group-size of a kind with groups, found {found}; leave it out", "group_size"
        )
    if options.quantize in own.symmetric and not options.symmetric:
        raise UnusedOptionError(
            f"expected --asymmetric of a kind with zero points, found {kind}, which has none; leave it out", "symmetric"
        )
    if options.quantize in own.ranged and options.method not in ("", *EVEN_METHODS):
        raise UnusedOptionError(
            f"expected --method {' or '.join(EVEN_METHODS)} of a kind with positive scales, found --method "
            f"{options.method} beside {kind}",
            "method",
        )
    wide = next((rule for rule in kept(options.keep) if own.others not in (rule.dtype, "float32")), None)
    if wide is not None:
        found = f"--keep {wide.pattern}={wide.dtype}"
        raise UnusedOptionError(
            f"expected --keep {wide.pattern}={own.others}, as {options.packing} reads all that is not quantised, "
            f"found {found}",
            "keep",
        )


def _tensors(component: Component) -> tuple[HfTensor, ...]:
    spec = spec_of(component.family)
    if spec is None or spec.huggingface is None or component.name not in spec.huggingface.components:
        return ()
    return spec.huggingface.tensors(component.config)


def _is_quantised(tensor: HfTensor) -> bool:
    """Return whether a tensor is the matrix of a layer: a table is not transposed, and a head has its own name."""
    return tensor.name != HEAD and all(there.transposed for _, there in tensor.parts)


def _check_sizes(component: Component, name: str, scheme: Scheme, packing: Packing) -> None:
    inputs, outputs = component.weights[name].shape
    if scheme.group and inputs % scheme.group:
        fitting = [str(group) for group in GROUPS if inputs % group == 0] or ["none"]
        raise UsageError(
            f"expected --group-size that divides the {inputs} inputs of {name}, found {scheme.group}; "
            f"those that do: {', '.join(fitting)}"
        )
    values = 32 // scheme.bits
    if packing.outputs and (inputs % values or outputs % values):
        raise UsageError(
            f"expected inputs and outputs in words of {values} values, found {name} [{inputs}, {outputs}], "
            "which this dialect cannot hold"
        )
