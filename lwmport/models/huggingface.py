"""What a family tells of the folders that Hugging Face has of its models: names, layouts, configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class HfName:
    """One tensor's name on the other side, and what lies between the two layouts.

    Attributes:
        name: the name.
        transposed: the matrix is the other's transpose.
        rotary: the channels of each head are in the other order: pairs side by side here, halves there.
        shared: its heads are those of keys, which several heads of queries may share.
    """

    name: str
    transposed: bool = False
    rotary: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class HfTensor:
    """One tensor of a folder that is written: the rows of some of our tensors, one behind the other.

    Attributes:
        name: the name in the folder.
        parts: (our name, how it is laid out over there) of each.
    """

    name: str
    parts: tuple[tuple[str, HfName], ...]


@dataclass(frozen=True, kw_only=True)
class TiedTensor:
    """A tensor that a configuration says is another one again.

    Attributes:
        name: its name in the folder, where the folder holds it all the same.
        table: the other one's name.
        field: the field of the configuration that says so.
    """

    name: str
    table: str
    field: str


@dataclass(frozen=True, kw_only=True)
class HfConfig:
    """What a ``config.json`` says.

    Attributes:
        fields: the family's own configuration, as JSON values.
        assumed: fields of it that ``config.json`` leaves out; they have the defaults of transformers.
        unused: keys of ``config.json`` that its architecture does not have.
    """

    fields: dict[str, Any]
    assumed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def _nothing_tied(_: Mapping[str, Any]) -> None:
    return None


def _nothing_wrong(_name: str, _values: Array, _config: Mapping[str, Any]) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class HuggingFace:
    """How a family's models lie in a folder of Hugging Face. A configuration is the family's own, as JSON values.

    Attributes:
        architecture: the class of transformers, as ``config.json`` names it.
        kind: its ``model_type``.
        first: the tensor that every such folder has, by its name there; empty if none is told.
        components: the components that can be written as such a folder.
        untold: what ``config.json`` says and no tensor tells, in words.
        example: a configuration that has it, to name in a message.
        read: ``read(fields)`` returns a configuration, or an `HfConfig`, from the fields of ``config.json``. It raises
            `CheckpointError` for a model that the family does not compute.
        named: ``named(name, config)`` returns our name of a tensor of a folder, None for a tensor that the family does
            not have.
        ignored: ``ignored(name, config)`` returns whether a tensor is left out when a folder is read; it is named then.
        tied: ``tied(config)`` returns which tensor is another one again. Where a folder holds it with other values, it
            is used, and the configuration is changed.
        wrong: ``wrong(name, values, config)`` returns why a tensor that is left out contradicts the configuration, in
            words, nothing if it does not.
        rows: ``rows(config)`` returns, for each tensor that is read and holds several of ours, their names and rows.
        heads: the field of the configuration that counts heads, for the order of rotary channels.
        shared_heads: the field that counts heads of keys, where queries may share them; null for as many as queries.
        tensors: ``tensors(config)`` returns what is written, in the order in which a model computes.
        documents: ``documents(config, dtype)`` returns the name and text of every file beside the weights.
        tokens: ``tokens(config)`` returns how the vocabulary is divided, for whoever runs the folder.
    """

    architecture: str
    kind: str
    first: str = ""
    components: tuple[str, ...]
    untold: str
    example: str
    read: Callable[[Mapping[str, Any]], dict[str, Any] | HfConfig]
    named: Callable[[str, Mapping[str, Any]], HfName | None]
    ignored: Callable[[str, Mapping[str, Any]], bool]
    rows: Callable[[Mapping[str, Any]], Mapping[str, tuple[tuple[str, int], ...]]]
    heads: str
    tensors: Callable[[Mapping[str, Any]], tuple[HfTensor, ...]]
    documents: Callable[[Mapping[str, Any], str], dict[str, str]]
    tokens: Callable[[Mapping[str, Any]], dict[str, Any]]
    shared_heads: str = ""
    tied: Callable[[Mapping[str, Any]], TiedTensor | None] = _nothing_tied
    wrong: Callable[[str, Array, Mapping[str, Any]], str] = _nothing_wrong

    def heads_of(self, tensor: HfName, config: Mapping[str, Any]) -> int:
        """Return how many heads the channels of a tensor are divided into."""
        shared = config.get(self.shared_heads) if tensor.shared else None
        return int(shared or config[self.heads])
