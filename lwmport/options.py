"""The options of a conversion and of a port, one row each.

What knows of options derives from these rows: the command line (`lwmport.cli.options`), ``jobs.toml``
(`lwmport.pipeline.port.jobs`), the checks of `lwmport.models.options.Options` and of a request, the search for unused
options (`lwmport.pipeline.convert.unused_options`) and the tables in the documents (``tools/option_tables.py``).
A new option is a row here, a field of the record that its place names, and the code that uses the field.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.registry import Aliases, check_known, meant


class Kind(StrEnum):
    """What a value is, which decides how the command line and ``jobs.toml`` read it."""

    TEXT = "text"
    TEXTS = "texts"
    AMOUNT = "amount"
    CHOICE = "choice"
    NUMBER = "number"
    BATCH = "batch"
    PATH = "path"
    FOLDER = "folder"
    SWITCH = "switch"
    FLAG = "flag"


class Place(StrEnum):
    """The record that an option is a field of."""

    MODEL = "lwmport.models.options.Options"
    CONVERSION = "lwmport.pipeline.convert.request.ConvertRequest"
    PORT = "lwmport.pipeline.port.run.PortRequest"
    MATRIX = "the arguments of lwmport.pipeline.port.matrix.port_all"
    COMMAND = "the command itself"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        key: its name in ``jobs.toml``; the command line writes it ``--key``, with dashes.
        place: the record that it is a field of.
        help: what it is, its form, and its default where that is no constant.
        also: command -> a sentence that holds for this command alone; ``--help`` of the command adds it.
        commands: the commands that take it.
        field: the name of the field, where that is not the key.
        kind: what its value is. A `SWITCH` is on and is turned off by ``--no-key``, a `FLAG` is off.
        default: the value where it is not given; None for none.
        required: commands that cannot do without it.
        least: the least value of a number.
        choices: the values that it may have, where they are few and always the same.
        aliases: other words for some of the choices.
        what: the word for a value in the message that lists the choices.
        metavar: what ``--help`` and the documents write for a value; the choices, where there are some.
        job: whether ``jobs.toml`` may say it of a job.
        lowered: whether it changes a lowered program alone, and nothing where weights are only renamed.
        blocks: whether it changes an attention in blocks alone.
        opposite: of a switch, the key of the word that turns it off, where that is not ``no-KEY``.
        word: the word of the command line, where another option of another command has that of the key.
        more: what the documents add to ``help``, in Markdown.
    """

    key: str
    place: Place
    help: str
    also: Mapping[str, str] = dataclasses.field(default_factory=dict)
    commands: tuple[str, ...] = ("convert", "port")
    field: str = ""
    kind: Kind = Kind.TEXT
    default: Any = None
    required: tuple[str, ...] = ()
    least: int = 0
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    what: str = ""
    metavar: str = ""
    job: bool = True
    lowered: bool = False
    blocks: bool = False
    opposite: str = ""
    word: str = ""
    more: str = ""

    @property
    def flag(self) -> str:
        """The word of the command line."""
        return self.word or flag_of(self.key)

    @property
    def off(self) -> str:
        """The word that turns a switch off."""
        return flag_of(self.opposite or f"no-{self.key}")

    @property
    def name(self) -> str:
        """The name of the field of its record."""
        return self.field or self.key

    @property
    def form(self) -> str:
        """What ``--help`` and the documents write for a value; nothing for the usual word of its kind."""
        return self.metavar or ("" if self.kind is Kind.CHOICE else "|".join(self.choices))

    def help_of(self, command: str) -> str:
        """What ``--help`` of a command says."""
        return " ".join(filter(None, (self.help, self.also.get(command, ""))))

    def expected(self, value: Any) -> str:
        """Return what a value must be, if this one is not; nothing if it is."""
        if self.kind in NUMBERS:
            dynamic = self.kind is Kind.BATCH
            right = (type(value) is int and value >= self.least) or (dynamic and value == DYNAMIC)
            return "" if right else f"a whole number of at least {self.least}{f' or {DYNAMIC!r}' if dynamic else ''}"
        if self.kind is Kind.AMOUNT:
            right = type(value) in (int, float) and math.isfinite(value) and value > 0
            return "" if right else "a number above 0"
        if self.kind in (Kind.TEXT, Kind.PATH, Kind.FOLDER):
            return "" if isinstance(value, str | Path) else "a text"
        return ""


DYNAMIC: Final = "dynamic"
"""The batch that is open."""

DTYPES: Final[Aliases] = {
    "bf16": ("bfloat16",),
    "fp16": ("float16",),
    "f16": ("float16",),
    "half": ("float16",),
    "fp32": ("float32",),
    "f32": ("float32",),
    "float": ("float32",),
    "single": ("float32",),
}
"""Other words for the dtypes that a model computes in."""

NUMBERS: Final = (Kind.NUMBER, Kind.BATCH)
"""Kinds that have a least value."""

OPTIONS: Final = (
    Option(
        key="component",
        place=Place.CONVERSION,
        help="The component, or a name for several components: see 'lwmport list'.",
        required=("convert",),
    ),
    Option(
        key="target",
        place=Place.PORT,
        commands=("port",),
        help="The target, a vendor's kind of device: see 'lwmport list'.",
    ),
    Option(
        key="to",
        place=Place.CONVERSION,
        field="format",
        help="The format of the models: see 'lwmport list'.",
        also={"port": "By default the usual format of the target."},
        required=("convert",),
    ),
    Option(
        key="checkpoint",
        place=Place.CONVERSION,
        help="The file or folder of the weights. Without it the weights are random, made from the seed.",
        more="Every report says so then",
    ),
    Option(
        key="adapter",
        place=Place.CONVERSION,
        kind=Kind.FOLDER,
        metavar="DIR",
        help="The folder of a LoRA adapter, which is merged into --checkpoint while it is read.",
        more="[LoRA adapters](checkpoints.md#lora-adapters)",
    ),
    Option(
        key="tokenizer",
        place=Place.CONVERSION,
        commands=("convert",),
        job=False,
        metavar="DIR|FILE|none",
        help="For --to gguf: the folder of the tokenizer, or a GGUF file with it; none for made-up tokens. "
        "By default that of a checkpoint that is a GGUF file.",
        more="[GGUF](gguf.md#tokenizer)",
    ),
    Option(
        key="config",
        place=Place.CONVERSION,
        default="lwm",
        metavar="NAME|FILE.json",
        help="The model's configuration: a name (lwm, debug, ...) or a JSON file.",
        more="`lwm` is the released model and `debug` a tiny one; a language model has also sizes and releases. "
        "A JSON file has LWM's field names; a field that it leaves out keeps LWM's default",
    ),
    Option(
        key="batch",
        place=Place.CONVERSION,
        kind=Kind.BATCH,
        default=1,
        least=1,
        metavar="N|dynamic",
        lowered=True,
        help="Pictures or sequences in one run; dynamic for any number.",
    ),
    Option(
        key="seed",
        place=Place.CONVERSION,
        kind=Kind.NUMBER,
        default=0,
        help="The seed of the random weights, which are used without a checkpoint.",
    ),
    Option(
        key="soc",
        place=Place.PORT,
        commands=("port",),
        help="The device within the target, by the name that its compiler uses, such as Ascend310P3.",
    ),
    Option(
        key="toolchain",
        place=Place.PORT,
        commands=("port",),
        kind=Kind.PATH,
        help="The folder of the vendor's SDK, or the path of its compiler. By default the tools that are installed.",
    ),
    Option(
        key="compile_precision",
        place=Place.PORT,
        commands=("port",),
        metavar="NAME",
        help="The precision that the target's compiler computes in: see 'lwmport compile --help'. By default its usual "
        "one.",
        more="`--precision` is the model's own",
    ),
    Option(
        key="gears",
        place=Place.PORT,
        commands=("port",),
        metavar="NAME=N,N[;...]",
        help="For the compiler: the sizes of dynamic dimensions, such as 'batch=1,2,4'.",
    ),
    Option(
        key="calibration",
        place=Place.PORT,
        commands=("port",),
        metavar="DIR|auto",
        help="For a compiler that quantises: a folder with INPUT.npy files, or auto to make samples, the default.",
    ),
    Option(
        key="keep_float32",
        place=Place.PORT,
        commands=("port",),
        kind=Kind.TEXTS,
        default=(),
        metavar="OP|node:NAME",
        help="For the compiler: an operator or a node that stays in float32. May be given several times.",
    ),
    Option(
        key="pictures_as_bytes",
        place=Place.PORT,
        commands=("port",),
        kind=Kind.FLAG,
        default=False,
        help="For ascend: pictures are bytes, and the device scales them (AIPP).",
    ),
    Option(
        key="extra",
        place=Place.PORT,
        commands=("port",),
        kind=Kind.TEXTS,
        default=(),
        metavar="OPTION",
        help="Another option of the compiler, as the vendor's tool writes it. May be given several times.",
    ),
    Option(
        key="opset",
        place=Place.CONVERSION,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        help="The ONNX opset, within the range of the dialect. By default the dialect's usual one.",
    ),
    Option(
        key="dialect",
        place=Place.CONVERSION,
        help="The dialect of the format, which says what program reads the file: see 'lwmport list'.",
        also={
            "convert": "By default the usual dialect of the format.",
            "port": "Only a dialect of the target; by default its usual one for the format.",
        },
        more="The dialects are below",
    ),
    Option(
        key="via",
        place=Place.COMMAND,
        commands=("convert",),
        kind=Kind.CHOICE,
        choices=("tf2onnx",),
        job=False,
        help="Make ONNX by a second route. The report compares both. By default only the direct route is used.",
    ),
    Option(
        key="flavor",
        place=Place.COMMAND,
        commands=("convert",),
        kind=Kind.CHOICE,
        choices=("plain", "xla"),
        job=False,
        help="The kind of SavedModel: plain operators (plain, the default), or the output of jax2tf (xla).",
        more="`xla` is for those who serve with XLA",
    ),
    Option(
        key="precision",
        place=Place.MODEL,
        default="float32",
        choices=("float32", "float16", "bfloat16"),
        aliases=DTYPES,
        what="precision",
        help="The dtype of weights, results and cache. bfloat16 needs --to hf.",
    ),
    Option(
        key="float32_parts",
        place=Place.MODEL,
        commands=("convert",),
        field="keep_float32",
        word="--keep-float32",
        kind=Kind.TEXTS,
        default=(),
        metavar="PATTERN",
        job=False,
        lowered=True,
        help="With --precision float16: operators that stay in float32, by a pattern of their name, of a module that "
        "they lie in, or of what they are (silu, dot_general). May be given several times.",
        more="[Precision](precision.md)",
    ),
    Option(
        key="store",
        place=Place.MODEL,
        default="",
        choices=("float16", "bfloat16"),
        aliases=DTYPES,
        what="scheme of storage",
        help="Store the weights in this dtype and compute in float32. By default they are stored in --precision. "
        "bfloat16 needs --to gguf.",
        more="Half the file: see [Storage](#storage)",
    ),
    Option(
        key="quantize",
        place=Place.MODEL,
        default="",
        choices=("w8a16", "w4a16", "w8a8", "w4a8", "q8_0", "q6_k", "q5_0", "q4_k_m", "q4_1", "q4_0"),
        aliases={"q4_k": ("q4_k_m",)},
        what="kind of quantisation",
        help="Round the weights to integers of 8 or 4 bits (w8, w4), and what they are multiplied with to 8 bits (a8) "
        "or not at all (a16); or to blocks of ggml (q8_0 to q4_0). By default nothing is rounded.",
        more="[Quantisation](quantisation.md)",
    ),
    Option(
        key="group_size",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        least=1,
        metavar="16|32|64|128|256",
        help="With --quantize: how many values share a scale. By default 32.",
    ),
    Option(
        key="symmetric",
        place=Place.MODEL,
        kind=Kind.SWITCH,
        default=True,
        opposite="asymmetric",
        help="With --quantize: zero is stored as zero, or each scale has a zero point. By default --symmetric.",
    ),
    Option(
        key="method",
        place=Place.MODEL,
        default="",
        choices=("rtn", "mse", "hqq", "gptq", "awq"),
        what="method of quantisation",
        help="With --quantize: how scales are chosen: from the extremes of a group (rtn, the default), by the least "
        "squared error (mse), by half-quadratic splitting (hqq), or so that products change least (gptq, awq): the "
        "reference then runs on a text.",
    ),
    Option(
        key="calibrate_on",
        place=Place.CONVERSION,
        kind=Kind.PATH,
        metavar="F.npz|F.jsonl|F.txt",
        help="With --method gptq or awq, a budget, --cache int8 or ranges of products: the tokens or the text that the "
        "reference runs on. By default the text that ships, by the tokenizer beside --checkpoint.",
        more="[Quantisation](quantisation.md#calibration)",
    ),
    Option(
        key="keep",
        place=Place.MODEL,
        kind=Kind.TEXTS,
        default=(),
        metavar="PATTERN=float16|float32",
        help="With --quantize: weights that are not rounded, by a pattern of their names. May be given several times.",
    ),
    Option(
        key="recipe",
        place=Place.MODEL,
        kind=Kind.TEXTS,
        default=(),
        metavar="F.toml",
        help="With --quantize: a table of patterns of names, and how the weights that they fit are rounded. May be "
        "given several times.",
        more="[Recipes](quantisation.md#recipes)",
    ),
    Option(
        key="budget_gb",
        place=Place.CONVERSION,
        kind=Kind.AMOUNT,
        metavar="X",
        help="With --quantize w4a16 or w4a8: 4, 8 or 16 bits for each tensor, those with which the weights lose least "
        "in X GB (10^9 bytes).",
        more="[Budgets](quantisation.md#budgets)",
    ),
    Option(
        key="budget_kl",
        place=Place.CONVERSION,
        kind=Kind.AMOUNT,
        metavar="X",
        help="With --quantize w4a16 or w4a8: 4, 8 or 16 bits for each tensor, as few as lose X nats at most (mean KL "
        "divergence from exact weights). It fails where more is measured.",
        more="[Budgets](quantisation.md#budgets)",
    ),
    Option(
        key="layer",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        metavar="N",
        lowered=True,
        help="The number of the layer that is converted as a block, from 0. By default 0.",
    ),
    Option(
        key="sample_mode",
        place=Place.MODEL,
        choices=("text", "vision", "all"),
        what="sample mode",
        help="The heads of a vision-language model that are converted. By default the configuration decides.",
    ),
    Option(
        key="attention",
        place=Place.MODEL,
        default="",
        choices=("fused", "loop", "unrolled"),
        what="form of attention",
        lowered=True,
        help="The form of attention. By default the dialect decides.",
    ),
    Option(
        key="query_chunk",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        lowered=True,
        blocks=True,
        help="Queries in one block of attention, for loop and unrolled. By default the configuration decides.",
        more="A `loop` that takes any number of tokens has all queries in one block by default",
    ),
    Option(
        key="key_chunk",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        lowered=True,
        blocks=True,
        help="Keys in one block of attention, for loop and unrolled. By default the configuration decides.",
    ),
    Option(
        key="ring",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        default=1,
        least=1,
        metavar="N",
        lowered=True,
        help="Ranks of the ring in whose order unrolled attention computes its blocks.",
    ),
    Option(
        key="sequence",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        lowered=True,
        help="Tokens in one run. By default any number, or 128 where sizes are static.",
    ),
    Option(
        key="max_length",
        place=Place.MODEL,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        lowered=True,
        help="Tokens in a static KV cache. By default 2048, or all positions of the model where it has fewer.",
    ),
    Option(
        key="cache",
        place=Place.MODEL,
        default="float32",
        choices=("float32", "float16", "int8"),
        aliases={word: names for word, names in DTYPES.items() if names != ("bfloat16",)},
        what="dtype of the cache",
        lowered=True,
        help="The dtype of the KV cache of a language model that computes in float32: float16 in the dialects ort and "
        "litert, int8 in ort. The scales of int8 are found in a run on --calibrate-on, or on the text that ships; with "
        "seeded weights on the inputs that they are judged on.",
        more="[A narrower cache](language.md#a-narrower-cache)",
    ),
    Option(
        key="input_form",
        place=Place.MODEL,
        default="tokens",
        choices=("tokens", "embeds"),
        what="form of inputs",
        lowered=True,
        help="The form of a language model's inputs: tokens, or embeddings, for which --inputs embeds is short if no "
        "file is called embeds.",
        more="[Embeddings in](language.md#embeddings-in)",
    ),
    Option(
        key="layout",
        place=Place.MODEL,
        default="",
        what="layout of pictures",
        choices=("nchw", "nhwc"),
        lowered=True,
        help="Axes of the pictures that go in. By default channels come first in ONNX, and last in other formats.",
        more="[Components](neighbours.md)",
    ),
    Option(
        key="with_preprocessing",
        place=Place.MODEL,
        kind=Kind.FLAG,
        default=False,
        lowered=True,
        help="Pictures are bytes [batch, height, width, 3], and the model itself makes numbers of them.",
        more="[Preprocessing in the graph](preprocessing.md#in-the-graph)",
    ),
    Option(
        key="set",
        place=Place.MODEL,
        field="settings",
        kind=Kind.TEXTS,
        default=(),
        metavar="FIELD=VALUE",
        help="Change a field of the configuration. May be given several times.",
    ),
    Option(
        key="runner",
        place=Place.CONVERSION,
        metavar="NAME",
        help="The runner that runs the models for judging: see 'lwmport list'. By default the file's suffix decides.",
        more="[Which runner judges](report.md#which-runner-judges)",
    ),
    Option(
        key="inputs",
        place=Place.CONVERSION,
        kind=Kind.PATH,
        metavar="F.npz|F.jsonl|DIR",
        help="The inputs to run on: arrays by name, one sample a line, or a folder of pictures. By default our own.",
        more="[Your own inputs](#your-own-inputs)",
    ),
    Option(
        key="samples",
        place=Place.CONVERSION,
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        help="How many samples to run on. By default 3 photographs, one text, or all of --inputs.",
    ),
    Option(
        key="taps",
        place=Place.CONVERSION,
        commands=("convert",),
        choices=("layers", "composites"),
        what="kind of taps",
        job=False,
        help="Also write a model that returns values from inside: those of all layers, or of all composites too.",
        more="[Look inside](#look-inside)",
    ),
    Option(
        key="validate",
        place=Place.CONVERSION,
        commands=("convert",),
        kind=Kind.SWITCH,
        default=True,
        job=False,
        help="Run the models, compare them with JAX and write a report; or only convert. By default --validate.",
    ),
    Option(
        key="resume",
        place=Place.CONVERSION,
        commands=("convert",),
        kind=Kind.SWITCH,
        default=True,
        job=False,
        help="Continue an interrupted run of the same request in --out, or delete what it left. By default --resume.",
    ),
    Option(
        key="dry_run",
        place=Place.COMMAND,
        commands=("convert",),
        kind=Kind.FLAG,
        default=False,
        job=False,
        help="Only say what would be written, from what, at what cost and how it would be judged; write nothing.",
    ),
    Option(
        key="out",
        place=Place.CONVERSION,
        kind=Kind.FOLDER,
        default=Path("out"),
        job=False,
        help="The folder for the results.",
        more="It is filled whole or not at all. The same conversion done again replaces the files there. Where other "
        "components or another format lie, it is refused and nothing changes",
    ),
    Option(
        key="workers",
        place=Place.MATRIX,
        commands=("port",),
        kind=Kind.NUMBER,
        least=1,
        metavar="N",
        job=False,
        help="For JOBS.toml: how many ports run at once. By default one for each processor.",
    ),
    Option(
        key="memory",
        place=Place.MATRIX,
        commands=("port",),
        metavar="8GB",
        job=False,
        help="For JOBS.toml: the memory for all ports. By default nine tenths of the free memory.",
    ),
    Option(
        key="engine",
        place=Place.MATRIX,
        commands=("port",),
        default="local",
        job=False,
        help="For JOBS.toml: what runs the ports: local for this machine, ray for a cluster.",
    ),
    Option(
        key="against",
        place=Place.MATRIX,
        commands=("port",),
        kind=Kind.PATH,
        metavar="DIR",
        job=False,
        help="For JOBS.toml: the folder or the index.json of an earlier run. The index then says what changed since.",
    ),
    Option(
        key="junit",
        place=Place.COMMAND,
        commands=("port",),
        kind=Kind.PATH,
        metavar="FILE",
        job=False,
        help="The file for the verdicts as JUnit XML, which systems of continuous integration show.",
    ),
    Option(
        key="json",
        place=Place.COMMAND,
        kind=Kind.FLAG,
        default=False,
        job=False,
        help="Print one JSON document on standard output.",
        more="Progress stays on standard error",
    ),
)
"""Every option, in the order of ``--help``, of the documents, and of the words of a command."""

JOB: Final = tuple(option for option in OPTIONS if option.job)
"""What a job in ``jobs.toml`` may say."""


def of_place(place: Place) -> tuple[Option, ...]:
    """Return the options that are fields of one record."""
    return tuple(option for option in OPTIONS if option.place is place)


def values_of(record: Any, place: Place) -> dict[str, Any]:
    """Return key -> value of the options that are fields of a record."""
    return {option.key: getattr(record, option.name) for option in of_place(place)}


def check_values(record: Any, place: Place) -> None:
    """Return if every number and every choice of a record is one that its option may have; choices by their one name.

    Raises:
        UsageError: one is not; the message says what was expected.
    """
    for option in of_place(place):
        value = getattr(record, option.name)
        if value == option.default:
            continue
        if option.choices:
            value = meant(option.what, value, option.choices, option.aliases)
            check_known(option.what, value, option.choices, option.aliases)
            object.__setattr__(record, option.name, value)
        expected = option.expected(value)
        if option.kind in (*NUMBERS, Kind.AMOUNT) and expected:
            raise UsageError(f"expected {expected} as {option.name}, found {value!r}")


def words(values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line for values that differ from the defaults, by key."""
    said: list[str] = []
    for option in OPTIONS:
        value = values.get(option.key, option.default)
        if value == option.default:
            continue
        if option.kind in (Kind.SWITCH, Kind.FLAG):
            said.append(option.flag if value else option.off)
            continue
        for item in value if option.kind is Kind.TEXTS else (value,):
            said += [option.flag, str(item)]
    return said


def flag_of(key: str) -> str:
    """Return the word of the command line for the key of an option."""
    return f"--{key.replace('_', '-')}"
