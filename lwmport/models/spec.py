"""What a family of models tells of itself: one record, from which every table about families is derived.

A record holds data and references (``"module:attribute"``), so that it can be read without JAX. What a reference leads
to is imported when it is first used. ``docs/families.md`` shows a whole family in one module of some fifty lines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lwmport.models.gguf import GgufModel
from lwmport.models.huggingface import HfFolder, HuggingFace
from lwmport.models.released_files import ReleasedFiles
from lwmport.types import Array, Component, Kind, Preprocessing, Signature, Tolerances


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """One component of a family.

    Attributes:
        name: what a user calls it. No other component has this name.
        summary: what it is, in one line.
        factory: reference to ``factory(config, options) -> Component``: the component in float32.
        options: the options of `lwmport.models.options.Options` that change it. The options that change every
            component (``settings``, ``precision``, ``store``, those of quantisation) are not named.
        static: the components of fixed lengths that stand for it where sizes are static.
        layers: the field of the configuration that counts the layers of its program. Empty: one layer or none.
        each: the field of the configuration that counts how often a group has it: once for each layer, as NAME-0,
            NAME-1 and so on. Asked for alone it is that of the option ``layer``. Empty: a group has it once.
        needs: the field of the configuration that must be true; without it the model has no such component, and a group
            stands for the others. Empty: every model has it.
        prefix: what the names of its tensors begin with in a checkpoint, before the component's own name.
        rename: own name -> name in the checkpoint, behind ``prefix``. A key that ends in ``/`` is the beginning of
            names. The longest key that fits counts.
    """

    name: str
    summary: str
    factory: str
    options: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layers: str = ""
    each: str = ""
    needs: str = ""
    prefix: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)

    def located(self, name: str) -> str:
        """Return the name that one of the component's tensors has in a checkpoint."""
        keys = [key for key in self.rename if name == key or (key.endswith("/") and name.startswith(key))]
        if not keys:
            return self.prefix + name
        longest = max(keys, key=len)
        return self.prefix + self.rename[longest] + name.removeprefix(longest)


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """How a checkpoint may hold a tensor of all layers as one: the fields of the configuration that say so.

    Attributes:
        flag: true where the layers are stacked.
        axis: on which axis, 0 or 1.
        assumed: values for fields that no tensor depends on. They are used where a checkpoint is only written in
            another format and no configuration is named.
    """

    flag: str
    axis: str
    assumed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChosenField:
    """A field of the configuration that changes what a model computes, and that a manifest and a report name.

    Attributes:
        field: the field of the configuration.
        word: what a report calls it.
        tensor: the tensor of a checkpoint whose shape tells it. Empty: no tensor tells it.
    """

    field: str
    word: str
    tensor: str = ""


@dataclass(frozen=True, kw_only=True)
class RingParts:
    """The components by which several processes run one language model, each of them some of the tokens.

    Attributes:
        group: the name that stands for all of them.
        embed: tokens to states.
        heads: the first half of a layer: states and positions to ``query``, ``key`` and ``value``.
        step: queries, some keys and values, and the running state to the new state.
        rest: the second half of a layer: states, ``numerator`` and ``denominator`` to the states behind it.
        head: states to logits.
    """

    group: str
    embed: str
    heads: str
    step: str
    rest: str
    head: str


@dataclass(frozen=True, kw_only=True)
class WholePart:
    """One component of a model that is made of several.

    Attributes:
        component: a component or a group, of any family.
        config: the name of its configuration.
        settings: changes of it, ``field=value`` each.
        narrowed: whether the loaders that store linear layers in 8 or 4 bits do so with this one.
        section: the part of a ``config.json`` of the whole that is its configuration; empty for all of it.
    """

    component: str
    config: str
    settings: tuple[str, ...] = ()
    narrowed: bool = True
    section: str = ""


@dataclass(frozen=True, kw_only=True)
class WholeModel:
    """A model that several components make together, each exported for itself.

    Attributes:
        name: what a user calls it. No component and no other model has this name.
        summary: what it is, in one line.
        parts: its components, in the order in which they run.
        picture_tokens: how many tokens of the text model's context a picture takes.
        kind: the ``model_type`` of transformers that a ``config.json`` of such a model has; empty for none.
    """

    name: str
    summary: str
    parts: tuple[WholePart, ...]
    picture_tokens: int = 0
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Written:
    """Prompts as tokens: ids int64 [rows, n], mask int64 [rows, n] (0 for padding), codes bool [rows, n].

    Where ``codes`` is true, the id is what a picture gave: a code, or the number of a row of its features.
    """

    ids: Array
    mask: Array
    codes: Array


@dataclass(frozen=True, kw_only=True)
class TalkPrompts:
    """How a language model is asked. ``encode(text)`` gives the tokens of a text, with what every text begins with.

    ``encode(text, begins=False)`` gives them without it.

    Attributes:
        text: ``text(encode, question)``: a question without a picture.
        vision: ``vision(encode, question, frames)``: a question about pictures; ``frames`` are the codes of each, or
            its features [tokens, width].
        later: ``later(encode, question, end)``: a further question; ``end`` is the token that ends an answer, or None.
        pixels: the input of the component that turns a picture into codes or features.
        codes: its output.
        stops: texts that end an answer and are no part of it, beside the tokenizer's own end.
    """

    text: Callable[..., Written]
    vision: Callable[..., Written]
    later: Callable[..., Written]
    pixels: str
    codes: str
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prompts(TalkPrompts):
    """How a language model is talked to that makes pictures too.

    ``pixels`` is also the output of the component that turns codes into a picture, and ``codes`` its input.

    Attributes:
        document: ``document(encode, context, question)``: a question about a long text.
        picture: ``picture(encode, what, description, pad, first)``: two rows that make a picture or a video, the second
            one without a description; ``first`` are the tokens of the frame that comes first, or None.
        pictures: the family whose components turn pictures into codes and back.
        image_words, video_words: ``what`` for a picture and for a video.
        image_top_k, video_top_k: the usual number of largest logits that stay.
        frames_a_second: of a video.
    """

    document: Callable[..., Written]
    picture: Callable[..., Written]
    pictures: str
    image_words: str
    video_words: str
    image_top_k: int
    video_top_k: int
    frames_a_second: int


@dataclass(frozen=True, kw_only=True)
class GenerationMode:
    """One way in which a language model goes on.

    Attributes:
        logits: names of the output that new tokens are chosen from; a component has one of them.
        codes: whether new tokens are codes of a picture.
        every: each so many new tokens one is ``forced``, whatever the logits say; 0 for never.
        forced: that token.
    """

    logits: tuple[str, ...]
    codes: bool = False
    every: int = 0
    forced: int = 0


@dataclass(frozen=True, kw_only=True)
class FamilySpec:
    """Everything that the rest of the program knows about a family of models.

    Attributes:
        name: the family. `Component.family` is this name or one of ``aliases``.
        components: its parts.
        configs: reference to a mapping: name -> configuration. Each has ``to_json`` and ``from_json``.
        configure: reference to ``configure(config, options, part=name, specs=specs) -> Config``, for a family whose
            configuration follows from more than a name or fields. Empty: ``configs`` and ``--set`` are all there is.
        names: reference to ``names(part)``: the names of the configurations that a component has. Empty: ``configs``.
        other_names: other words for configurations, such as the names under which weights are released -> the names.
        usual: the name of the configuration that is meant where none is named. Empty: the first of ``configs``.
            ``configure`` gets `lwmport.models.families.USUAL` then, for a checkpoint may mean another one.
        chosen: the fields of the configuration that manifests and reports name, with where each value came from.
        offers: reference to ``offers(component, specs) -> names``: the configurations that fit the tensors of a
            checkpoint, best fit first. A checkpoint of such a family is not converted before a configuration says the
            fields of ``chosen`` that no tensor tells. Empty: the usual configuration is meant.
        aliases: other names that its models have in manifests.
        groups: names that stand for several components -> those components.
        weights: reference to ``weights(config)``: shape and dtype of every tensor of a checkpoint, by name. Empty: the
            tensors of all components together.
        sources: reference to ``sources(config)``: tensor of one layer, by its name in a checkpoint (behind ``prefix``
            and ``rename``) -> (tensor of the checkpoint, axis, layer), for those that are one layer of a stacked
            tensor. The family then tells its ``weights`` too: stacked where the configuration says so.
        strict: a checkpoint must hold no other tensors. Without it, tensors that are left over are told.
        native: the checkpoint format that ``lwmport checkpoint make`` writes if none is named.
        marks: tensor by which a checkpoint of the family is known -> the component whose weights it then holds. The
            first tensor that is found counts.
        signs: tensor that no other family has -> the component or the group to ask for: what a checkpoint looks like
            that was given for another model, where no mark says so.
        stacking: how its checkpoints may stack layers. None: they do not.
        inputs: reference to its `InputMaker`. Empty: photographs for pictures, seeded numbers for the rest.
        complete: reference to its `Completer`. Empty: whoever gives inputs of their own gives every input.
        tokens: the input that holds the tokens of a text. Empty: no component reads any.
        logits: outputs that are logits: on their last axis, of each token that may be next. They are also judged by
            what a reader of the text would notice (`lwmport.validators.language`).
        ring: the components by which several processes run one of its models. None: it is run as a whole alone.
        modes: ways in which a whole language model generates, by name; the first is the usual one.
        prompts: reference to its `Prompts`. Empty: nobody talks to its models.
        spliced_prompts: of an image side whose features stand among the embeddings of a language model: reference to
            ``spliced_prompts(config) -> TalkPrompts``, how one is talked to. Empty: the family is no such image side.
        draws: reference to ``draws(seed) -> Draw`` (`lwmport.generation.choosing.Draw`): random numbers as the scripts
            of the models' makers draw them. Empty: they are not known.
        script_flags: reference to ``flag_of(command, name) -> ScriptFlag | None`` (`lwmport.models.script_flags`): what
            a flag of those scripts becomes on a command of ours. Empty: none is known.
        preprocessing: input -> how a picture becomes that input. A picture that is not named is prepared as LWM's are:
            cut to the size, and scaled to its ``value_range``.
        words: ``inputs/NAME`` or ``outputs/NAME`` (without what stands behind a dot) -> what the tensor is outside
            the model, in a few words.
        tolerances: how far outputs may be from the reference, near ties included.
        notice: whose work the models are, for the NOTICE of a bundle. Empty: nothing is said.
        license: under which license the released weights are, for the same place. Empty: nothing is said.
        huggingface: how its models lie in the folders of Hugging Face that are written. None: none is.
        folders: how they lie in folders that are read alone.
        gguf: how its models lie in GGUF files. None: it has none.
        released: how their weights are published in several files without a configuration. None: they are not.
        models: models that its components make together with those of other families.
    """

    name: str
    components: tuple[PartSpec, ...]
    configs: str = ""
    configure: str = ""
    names: str = ""
    other_names: Mapping[str, str] = field(default_factory=dict)
    usual: str = ""
    chosen: tuple[ChosenField, ...] = ()
    offers: str = ""
    aliases: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    weights: str = ""
    sources: str = ""
    strict: bool = False
    native: str = "safetensors"
    marks: Mapping[str, str] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    stacking: Stacking | None = None
    inputs: str = ""
    complete: str = ""
    tokens: str = ""
    logits: tuple[str, ...] = ()
    ring: RingParts | None = None
    modes: Mapping[str, GenerationMode] = field(default_factory=dict)
    prompts: str = ""
    spliced_prompts: str = ""
    draws: str = ""
    script_flags: str = ""
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    tolerances: Tolerances = field(default_factory=Tolerances)
    notice: str = ""
    license: str = ""
    huggingface: HuggingFace | None = None
    folders: tuple[HfFolder, ...] = ()
    gguf: GgufModel | None = None
    released: ReleasedFiles | None = None
    models: tuple[WholeModel, ...] = ()

    @property
    def all_folders(self) -> tuple[HfFolder, ...]:
        """Every folder of Hugging Face that is read."""
        return (*(() if self.huggingface is None else (self.huggingface,)), *self.folders)

    @property
    def untold(self) -> tuple[ChosenField, ...]:
        """The fields that no tensor of a checkpoint tells."""
        return tuple(field for field in self.chosen if not field.tensor)

    def prepared(self, signature: Signature) -> dict[str, Preprocessing]:
        """Return how pictures become each input of a component that is one."""
        shown = (spec.name for spec in signature.inputs if spec.kind is Kind.PICTURE)
        return {name: self.preprocessing.get(name, Preprocessing()) for name in shown}

    def part(self, name: str) -> PartSpec:
        """Return one component's record, by its name or as one of many in a group (`PartSpec.each`)."""
        one, _, number = name.rpartition("-")
        return next(
            part
            for part in self.components
            if part.name == name or (part.each and part.name == one and number.isdecimal())
        )


@dataclass(frozen=True, kw_only=True)
class CaseInputs:
    """Inputs of one run.

    Attributes:
        inputs: the arrays, by name.
        description: what they are, in words.
        relevant: output -> which of its elements count, to broadcast over its shape. An output that is not named
            counts as a whole.
        titles: (name, credit) of each item of the batch, where an item is somebody's work that can be shown.
        origin: what the component's feeder made these inputs from, by the names of its inputs; nothing without one.
    """

    inputs: Mapping[str, Array]
    description: str
    relevant: Mapping[str, Array] = field(default_factory=dict)
    titles: tuple[tuple[str, str], ...] = ()
    origin: Mapping[str, Array] = field(default_factory=dict)


class InputMaker(Protocol):
    """Makes the inputs that components of a family are judged on, and those of golden samples and of calibration."""

    def cases(self, component: Component) -> tuple[str, ...]:
        """Return the names of the cases that a component is judged on; ``("",)`` where there is one without a name."""

    def make(self, component: Component, batch: int, number: int, case: str) -> CaseInputs:
        """Return the inputs of one run. Each ``number`` gives other ones; the case ``""`` is the usual one."""


class Completer(Protocol):
    """Fills in the inputs that a user leaves out: what follows from the tokens."""

    def __call__(self, component: Component, given: Mapping[str, Array]) -> CaseInputs:
        """Return all inputs of one run.

        ``given`` has the input that `FamilySpec.tokens` names, [batch, tokens] whatever number of tokens the component
        takes, and whatever else was given.

        Raises:
            UsageError: the component takes fewer tokens, or a token lies outside of its table.
        """
