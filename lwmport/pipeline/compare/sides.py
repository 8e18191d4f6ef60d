"""What a side is, by the text that names it: a component with its options, a model file, a folder, or a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from lwmport import manifest
from lwmport.checkpoints.gguf import is_gguf
from lwmport.errors import ArtifactError, UnusedOptionError, UsageError
from lwmport.handoff import record
from lwmport.models.families import NAMES, STATIC_GROUPS
from lwmport.models.families import takers as takers_of
from lwmport.models.options import Options
from lwmport.options import NUMBERS, Place, of_place
from lwmport.pipeline.compare.checkpoint_reader import read_checkpoint
from lwmport.pipeline.compare.graph_reader import read_graph
from lwmport.pipeline.compare.program_reader import read_component
from lwmport.pipeline.compare.structure import Structure
from lwmport.pipeline.names import named, one_name
from lwmport.registry import check_known
from lwmport.runtime.registry import takers
from lwmport.targets.graphs.opening import READERS, is_saved_model
from lwmport.wording import few

CONFIG: Final = "config"
"""The word for the configuration of a component, beside the options of `Options`."""

NOT_TAKEN: Final = ("settings", "store")
"""Options that are not taken: changes of a configuration go into a file, and no structure shows how it is stored."""

STATIC: Final = "static"
"""The option of `Options` that has no row of its own: a dialect or a target says it where a model is converted."""

RENAMED: Final = "hf"
"""The format of a converted folder that is a checkpoint again."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison, known but not read.

    Attributes:
        text: what the user named.
        component: the component, empty where it is none.
        config: the configuration of the component.
        options: how the component is cut out.
        files: the model files, by the name of the component or of the file.
    """

    text: str
    component: str = ""
    config: str | Mapping[str, Any] = ""
    options: Options = field(default_factory=Options)
    files: Mapping[str, Path] = field(default_factory=dict)

    def read(self, sizes: Mapping[str, int]) -> dict[str, Structure]:
        """Return its structures by name; dynamic sizes are those given, or the usual ones.

        Raises:
            PortError: it is missing, damaged, or none that can be compared.
        """
        if self.component:
            return read_component(self.component, self.config, self.options, sizes)
        if not self.files:
            return {self.text: read_checkpoint(self.text)}
        return {name: read_graph(path, sizes) for name, path in self.files.items()}


def side_of(text: str, config: str) -> Side:
    """Return what a text names: ``COMPONENT``, ``COMPONENT:OPTION=VALUE,...`` or a path.

    A component goes before a path of the same name, which is then written ``./NAME``.

    Raises:
        UsageError: options that there are not, or a kind of file that has no structure to compare.
        ArtifactError: a folder without models, or a damaged manifest.
    """
    name, _, words = text.partition(":")
    name = one_name("component", name, {})
    if name in NAMES and not words.startswith(":"):
        options = named({"component": name, CONFIG: config, **_options(name, words)})
        return Side(
            text=text, component=options.pop("component"), config=options.pop(CONFIG), options=Options(**options)
        )
    return Side(text=text, files=_files(Path(text)))


def _options(component: str, words: str) -> dict[str, Any]:
    """Return the options that stand behind the name of a component.

    Raises:
        UsageError: one that there is not, or a number that is none.
    """
    numbers = {option.name for option in of_place(Place.MODEL) if option.kind in NUMBERS}
    known = [CONFIG, *(item.name for item in fields(Options) if item.name not in NOT_TAKEN)]
    found: dict[str, Any] = {}
    for word in filter(None, words.split(",")):
        key, separator, value = word.partition("=")
        key = key.replace("-", "_")
        if not separator or not value:
            raise UsageError(f"expected {component}:OPTION=VALUE,OPTION=VALUE, found {word!r}")
        check_known(f"setting of {component}", key, known)
        _check_used(component, key)
        if key in numbers and not value.isdecimal():
            raise UsageError(f"expected a whole number as {key} of {component}, found {value!r}")
        if key == STATIC and value != "true":
            raise UsageError(f"expected {STATIC}=true, or nothing of it, in {component}:{words}, found {word!r}")
        found[key] = int(value) if key in numbers else value == "true" if key == STATIC else value
    return found


def _check_used(component: str, key: str) -> None:
    """Return if an option changes a component.

    Raises:
        UnusedOptionError: it does not; the message names those that it changes.
    """
    taken = takers_of().get(key)
    parts = {part for name in NAMES[component] for part in (name, *STATIC_GROUPS.get(name, ()))}
    if taken is not None and not parts & set(taken):
        raise UnusedOptionError(
            f"expected {key} for one of {few(taken)}, found {component}, which it does not change", key
        )


def _files(path: Path) -> dict[str, Path]:
    """Return the model files that a path means, by name; nothing for what can only be a checkpoint.

    Raises:
        UsageError: it is a kind of file that has no structure to compare.
        ArtifactError: the manifest of a folder is damaged.
    """
    if not path.exists():
        return _missing(path)
    if path.is_dir():
        return _of_folder(path)
    suffix = path.suffix.lower()
    if suffix in READERS:
        inside = path.stem == "saved_model" and is_saved_model(path.parent)
        return {path.stem: path.parent if inside else path}
    if is_gguf(path):
        return {}
    if suffix == ".zip" or takers(suffix):
        kind = "a bundle or an archive: unpack it and name the models" if suffix == ".zip" else "a compiled model"
        raise UsageError(f"expected a model or a checkpoint, found {path}: {kind}")
    return {}


def _missing(path: Path) -> dict[str, Path]:
    """Return nothing for what may be a checkpoint with a prefix.

    Raises:
        ArtifactError: there is no such path, and no such component.
    """
    if "::" in str(path):
        return {}
    raise ArtifactError(f"expected a component ('lwmport list' names them) or a path, found neither at {path}")


def _of_folder(path: Path) -> dict[str, Path]:
    if is_saved_model(path):
        return {path.stem: path}
    if (path / manifest.NAME).is_file():
        made = manifest.read(path)
        return {} if made.artifact_format == RENAMED else {part.name: path / part.path for part in made.components}
    if (path / record.NAME).is_file() and (path / record.SPEC_NAME).is_file():
        raise UsageError(f"expected a model or a checkpoint, found the unpacked bundle {path}; name one of its models")
    return {file.stem: file for file in sorted(path.iterdir()) if file.suffix.lower() in READERS}
