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
        axes: of an array that is no matrix: the other's axes in the order of ours; empty where it is the same.
        shared: its heads are those of keys, which several heads of queries may share.
    """

    name: str
    transposed: bool = False
    rotary: bool = False
    axes: tuple[int, ...] = ()
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


def _nothing_ignored(_name: str, _config: Mapping[str, Any]) -> bool:
    return False


def _nothing_joined(_: Mapping[str, Any]) -> Mapping[str, tuple[tuple[str, int], ...]]:
    return {}


def _nothing_elsewhere(_: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class HfFolder:
    """How a family's models lie in a folder of Hugging Face. A configuration is the family's own, as JSON values.

    Attributes:
        architecture: the class of transformers, as ``config.json`` names it.
        kind: its ``model_type``.
        first: the tensor that every such folder has, by its name there; empty if none is told.
        inner: whether the family is a part of the model alone, and another family is meant where none is named.
        files: files that hold the weights where there is none of the usual name.
        read: ``read(fields)`` returns a configuration, or an `HfConfig`, from the fields of ``config.json``. It raises
            `CheckpointError` for a model that the family does not compute.
        named: ``named(name, config)`` returns our name of a tensor of a folder, None for a tensor that the family does
            not have.
        ignored: ``ignored(name, config)`` returns whether a tensor is left out when a folder is read; it is named then.
        elsewhere: ``elsewhere(name)`` returns whether a tensor is of a part of the model that the family does not
            compute; it is counted then, and not read.
        tied: ``tied(config)`` returns which tensor is another one again. Where a folder holds it with other values, it
            is used, and the configuration is changed.
        wrong: ``wrong(name, values, config)`` returns why a tensor that is left out contradicts the configuration, in
            words, nothing if it does not.
        rows: ``rows(config)`` returns, for each tensor that is read and holds several of ours, their names and rows.
        heads: the field of the configuration that counts heads, for the order of rotary channels.
        shared_heads: the field that counts heads of keys, where queries may share them; null for as many as queries.
    """

    architecture: str
    kind: str
    first: str = ""
    inner: bool = False
    files: tuple[str, ...] = ()
    read: Callable[[Mapping[str, Any]], dict[str, Any] | HfConfig]
    named: Callable[[str, Mapping[str, Any]], HfName | None]
    ignored: Callable[[str, Mapping[str, Any]], bool] = _nothing_ignored
    elsewhere: Callable[[str], bool] = _nothing_elsewhere
    tied: Callable[[Mapping[str, Any]], TiedTensor | None] = _nothing_tied
    wrong: Callable[[str, Array, Mapping[str, Any]], str] = _nothing_wrong
    rows: Callable[[Mapping[str, Any]], Mapping[str, tuple[tuple[str, int], ...]]] = _nothing_joined
    heads: str
    shared_heads: str = ""

    def heads_of(self, tensor: HfName, config: Mapping[str, Any]) -> int:
        """Return how many heads the channels of a tensor are divided into; 1 for a family without heads."""
        shared = config.get(self.shared_heads) if tensor.shared else None
        return int(shared or config.get(self.heads, 1))


@dataclass(frozen=True, kw_only=True)
class HuggingFace(HfFolder):
    """How a family's models lie in the folder that is written of them.

    Attributes:
        components: the components that can be written as such a folder.
        untold: what ``config.json`` says and no tensor tells, in words.
        example: a configuration that has it, to name in a message.
        tensors: ``tensors(config)`` returns what is written, in the order in which a model computes.
        documents: ``documents(config, dtype)`` returns the name and text of every file beside the weights.
        tokens: ``tokens(config)`` returns how the vocabulary is divided, for whoever runs the folder.
    """

    components: tuple[str, ...]
    untold: str
    example: str
    tensors: Callable[[Mapping[str, Any]], tuple[HfTensor, ...]]
    documents: Callable[[Mapping[str, Any], str], dict[str, str]]
    tokens: Callable[[Mapping[str, Any]], dict[str, Any]]
