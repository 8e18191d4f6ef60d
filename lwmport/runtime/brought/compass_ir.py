"""Compass's intermediate representation: the ``.txt`` that names layers and their tensors, sizes, dtypes and scales.

Sections of ``key=value`` lines with empty lines between them; the first is of the model. ``layer_top`` lists a layer's
outputs; the parser names each after its ONNX node, ``NODE_N``. A value is ``(stored + zp) / scale``.
Source: Arm-China/Compass_Unified_Parser, writer.py and ops/op.py; Arm-China/Compass_Optimizer, pyir.py and
quant_tool_utils.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.compass_order import order_of
from lwmport.runtime.brought.listing import File, front_of, text_of
from lwmport.wording import shown

FRONT: Final = 4096
DTYPES: Final = {"bfp16": "bfloat16", "bfloat16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""Compass's word for a dtype -> name here, where they differ. Packed and 12-bit ones have none."""


@dataclass(frozen=True, kw_only=True)
class Top:
    """One output of a layer, in the order of axes ``layout``.

    ``scale`` is None where it has none, or has ``many``: one a channel, in the ``.bin``.
    """

    layer: str
    layer_id: str
    kind: str
    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero: float = 0.0
    many: bool = False
    layout: str = ""

    @property
    def node(self) -> str:
        """The node of the model: the tensor's name without the number of the output."""
        end = f"_{self.index}"
        return self.name.removesuffix(end) if self.name != end else self.layer

    @property
    def quantised(self) -> bool:
        """Whether its values stand for other numbers."""
        return self.many or (self.scale or 1.0, self.zero) != (1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What a ``.txt`` says: the model's name, its output tensors in their order, and every layer's outputs."""

    name: str
    outputs: tuple[str, ...]
    tops: tuple[Top, ...]

    @property
    def quantised(self) -> bool:
        """Whether any tensor has a scale of its own."""
        return any(top.quantised for top in self.tops)


def is_ir(file: File) -> bool:
    """Return whether a file is such a ``.txt``, by its first lines."""
    if not file.last.endswith(".txt"):
        return False
    keys = {line.partition(b"=")[0].strip() for line in front_of(file, FRONT).splitlines()}
    return {b"model_name", b"layer_number"} <= keys


def graph_in(file: File) -> Graph:
    """Return what a ``.txt`` says.

    Raises:
        ArtifactError: it is cut or damaged.
    """
    sections = list(_sections(text_of(file)))
    head = sections[0] if sections else {}
    orders: dict[str, tuple[int, str]] = {}
    tops: list[Top] = []
    for section in sections[1:]:
        for top in _tops(section, file.told, orders) if "layer_top" in section else ():
            orders[top.name] = (len(top.shape), top.layout)
            tops.append(top)
    outputs = tuple(_names(head.get("output_tensors", "")))
    return Graph(name=head.get("model_name", ""), outputs=outputs, tops=tuple(tops))


def _sections(text: str) -> Iterator[dict[str, str]]:
    section: dict[str, str] = {}
    for line in (*text.splitlines(), ""):
        key, sign, value = line.partition("=")
        if sign:
            section[key.strip()] = value.strip()
        elif section and not line.strip():
            yield section
            section = {}


def _tops(section: Mapping[str, str], where: str, orders: Mapping[str, tuple[int, str]]) -> Iterator[Top]:
    layer = section.get("layer_name", "")
    names = list(_names(section["layer_top"]))
    shapes = _lists(section.get("layer_top_shape", ""))
    dtypes = list(_names(section.get("layer_top_type", "")))
    if len(shapes) != len(names) or len(dtypes) != len(names):
        raise ArtifactError(
            f"{where}, layer {shown(layer)}: expected a shape and a type for each of {len(names)} tensors, found "
            f"{len(shapes)} and {len(dtypes)}; the file is cut: copy it again"
        )
    scales, zeros = _numbers(section.get("layer_top_scale", "")), _numbers(section.get("layer_top_zp", ""))
    kind, inputs = section.get("layer_type", ""), list(_names(section.get("layer_bottom", "")))
    for index, name in enumerate(names):
        shape = _shape(shapes[index], where, layer)
        yield Top(
            layer=layer,
            layer_id=section.get("layer_id", ""),
            kind=kind,
            index=index,
            name=name,
            shape=shape,
            dtype=DTYPES.get(dtypes[index].lower(), dtypes[index].lower()),
            scale=scales[index] if index < len(scales) else None,
            zero=zeros[index] if index < len(zeros) else 0.0,
            many="layer_top_scale_offset" in section,
            layout=order_of(kind, len(shape), inputs, orders),
        )


def _shape(told: str, where: str, layer: str) -> tuple[int, ...]:
    if not re.fullmatch(r"(?:\d{1,10}(?:,\d{1,10}){0,15})?", told):
        raise ArtifactError(f"{where}, layer {shown(layer)}: expected sizes as [1,2,3], found {shown(told)}")
    return tuple(int(size) for size in told.split(",") if size)


def _inner(told: str) -> str:
    return told.strip().removeprefix("[").removesuffix("]")


def _names(told: str) -> Iterator[str]:
    """Yield the names of ``[a, b]``."""
    for name in _inner(told).split(","):
        if stripped := name.strip(" '\""):
            yield stripped


def _lists(told: str) -> list[str]:
    """Return the lists of ``[[1,2],[3]]``, each without its brackets and blanks."""
    return [one.replace(" ", "") for one in re.findall(r"\[([^\[\]]*)\]", _inner(told))]


def _numbers(told: str) -> list[float]:
    """Return the numbers of ``[1.0, 2]``; none where a tensor has several."""
    try:
        return [float(one) for one in _inner(told).split(",")] if told else []
    except ValueError:
        return []
