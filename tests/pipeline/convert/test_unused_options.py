"""An option that changes nothing of what is asked for is refused in one line that names who takes it."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

import lwmport
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.errors import UsageError
from lwmport.models.families import COMPONENTS, NAMES, PARTS, takers
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.unused_options import check_unused
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.registry import load
from lwmport.targets.dialects import ALL_DIALECTS

VALUES: dict[str, Any] = {
    "layer": 1, "sample_mode": "text", "attention": "unrolled", "query_chunk": 8, "key_chunk": 8, "ring": 2,
    "sequence": 4, "max_length": 16, "input_form": "embeds",
}  # fmt: skip
SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 64, "scan_query_chunk_size": 4, "scan_key_chunk_size": 4,
}  # fmt: skip


def heard(component: str, dialect: str, **fields: Any) -> None:
    chosen = {**DIALECTS, **ALL_DIALECTS}[dialect]
    options = Options(
        **{name: fields.pop(name) for name in list(fields) if name not in {"batch", "seed", "checkpoint", "taps"}}
    )
    check_unused(
        ConvertRequest(
            component=component, format=chosen.format, out=Path(), options=options, dialect=dialect, **fields
        ),
        chosen,
    )


UNHEARD = {
    "a cache that grows": (
        ("llama", "ort"),
        {"max_length": 16},
        "--max-length of a cache of fixed length (NAME-prefill",
    ),
    "layer of a whole": (("llama", "ort"), {"layer": 1}, "--layer of llama-block, "),
    "the first layer of a whole": (("llama", "ort"), {"layer": 0}, "found --layer 0 for llama in the dialect 'ort'"),
    "heads of a picture": (
        ("vqgan", "ort"),
        {"sample_mode": "text"},
        "--sample-mode of llama-embed, llama-head, vision-llama, ",
    ),
    "tokens of a picture": (("vqgan-decoder", "ort"), {"sequence": 4}, "--sequence of llama, "),
    "attention of a table": (("llama-embed", "ort"), {"attention": "fused"}, "--attention of llama, "),
    "attention of a decode": (("llama-decode", "ascend"), {"attention": "unrolled"}, "--attention of llama, "),
    "tokens of a decode": (("llama-block-decode", "ascend"), {"sequence": 4}, "--sequence of llama, "),
    "chunks of a fused one": (("llama", "ort"), {"key_chunk": 8}, "--key-chunk of --attention loop or unrolled"),
    "a cache of a head": (("llama-head", "ascend"), {"max_length": 16}, "or NAME in a static dialect: llama, "),
    "quantisation of renamed weights": (
        ("llama", "hf"),
        {"quantize": "w4a8"},
        "found llama in the dialect 'hf' (hf takes w4a16, w8a16, w8a8)",
    ),
    "storage of renamed weights": (("llama", "hf"), {"store": "float16"}, "--store float16 in a dialect out of ort, "),
    "storage of variables": (("vqgan", "tf"), {"store": "float16"}, "found vqgan in the dialect 'tf'"),
    "renamed weights": (("llama", "hf"), {"sequence": 4}, "where weights are renamed"),
    "a batch of renamed weights": (("llama", "hf"), {"batch": 2}, "found --batch 2 for llama in the dialect 'hf'"),
    "taps of renamed weights": (("llama", "hf"), {"taps": "layers"}, "--taps of a model in onnx, saved_model, tflite"),
    "taps of a graph whose nodes have one name each": (
        ("vqgan", "graphdef"),
        {"taps": "layers"},
        "found --taps layers for vqgan in the dialect 'graphdef'",
    ),
    "taps of the second route": (("vqgan", "tf2onnx"), {"taps": "layers"}, "in the dialect 'tf2onnx'"),
    "a seed": (("llama", "ort"), {"seed": 2, "checkpoint": "x"}, "found --seed 2 beside --checkpoint"),
}


@pytest.mark.parametrize("name", UNHEARD)
def test_what_changes_nothing_is_refused(name: str) -> None:
    what, fields, said = UNHEARD[name]
    with pytest.raises(UsageError) as caught:
        heard(*what, **fields)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("component", "dialect", "fields"),
    [
        ("llama-block", "ascend", {"layer": 1, "sequence": 8, "max_length": 16, "attention": "unrolled", "ring": 2}),
        ("llama", "aipu", {"max_length": 16, "key_chunk": 8}),
        ("llama-block", "ort", {"layer": 0}),
        ("vision-llama", "hf", {"sample_mode": "text", "precision": "bfloat16"}),
        ("ring-step", "tf", {"sequence": 4, "query_chunk": 2, "batch": 2, "seed": 3}),
        ("vqgan", "ort", {"precision": "float16", "batch": "dynamic"}),
    ],
)
def test_what_changes_something_is_heard(component: str, dialect: str, fields: dict[str, Any]) -> None:
    heard(component, dialect, **fields)


class Recording(Options):
    """Options that remember which of them were read."""

    read: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in VALUES:
            Recording.read.add(name)
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("component", [name for name, family in COMPONENTS.items() if family == "llama"])
def test_the_table_says_what_each_factory_reads(component: str) -> None:
    options = Recording(attention="unrolled", sequence=16)
    config = (VisionLlamaConfig if component.startswith("vision") else LlamaConfig)(**SMALL)
    Recording.read.clear()
    load(PARTS[component].factory)(config, options)
    elsewhere = {"cache", "sample_mode"}  # read where the family is made, for all its components alike
    told = {name for name, components in takers().items() if component in components} - elsewhere
    unused = {"ring"} if component == "ring-step" else set()  # its plan carries the ranks, and a step has no use for it
    assert Recording.read - unused == told


def test_every_taker_is_a_component() -> None:
    assert {name for components in takers().values() for name in components} <= set(NAMES)


def test_the_command_line_and_a_file_of_jobs_say_the_same(tmp_path: Path) -> None:
    asked = ConvertRequest(
        component="llama", format="onnx", out=tmp_path / "out", config=SMALL, options=Options(max_length=16)
    )
    with pytest.raises(UsageError) as caught:
        lwmport.convert(asked)
    path = tmp_path / "jobs.toml"
    path.write_text('[[jobs]]\ncomponent = "llama"\ntarget = "cpu"\nconfig = "debug"\nmax_length = 16\n')
    with pytest.raises(UsageError, match=r"jobs\.toml, job llama-cpu-onnx-float32: expected --max-length of ") as found:
        read_jobs(path)
    assert str(caught.value).partition(", found")[0] in str(found.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", sorted({dialect.format for dialect in DIALECTS.values()} - {"onnx"}))
def test_an_opset_is_of_onnx_alone(form: str) -> None:
    with pytest.raises(UsageError, match=f"expected an opset of the format onnx alone, found 3 for {form}"):
        dialect_for(form, opset=3)


def test_a_default_of_every_job_is_for_those_that_take_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[defaults]\nconfig = "debug"\nsequence = 16\nmax_length = 64\nlayer = 1\n[matrix]\n'
        'component = ["vqgan-decoder", "llama", "llama-block"]\ntarget = ["ascend", "cpu"]\n'
    )
    found = {job.name: job.request.conversion.options for job in read_jobs(path).jobs}
    assert {name: (made.sequence, made.max_length, made.layer) for name, made in found.items()} == {
        "vqgan-decoder-ascend-onnx-float32": (None, None, None),
        "vqgan-decoder-cpu-onnx-float32": (None, None, None),
        "llama-ascend-onnx-float32": (16, 64, None),
        "llama-cpu-onnx-float32": (16, None, None),
        "llama-block-ascend-onnx-float32": (16, 64, 1),
        "llama-block-cpu-onnx-float32": (16, None, 1),
    }
    path.write_text('[defaults]\nsequence = 16\n[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\nlayer = 1\n')
    with pytest.raises(UsageError, match="expected --layer of llama-block, "):
        read_jobs(path)
