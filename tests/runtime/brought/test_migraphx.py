"""What migraphx-driver prints with MIGRAPHX_TRACE_EVAL: whose values they are, and whose they are not."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought import migraphx_trace
from lwmport.runtime.brought.read import matched, read_brought, values

GEMM = "@2 = gpu::gemm[alpha=1,beta=0](x,@1) -> float_type, {1, 12}, {12, 1}, target_id=0 # decoder/Dense_0/MatMul"
FUSED = "@4 = gpu::code_object[code_object=5000,symbol_name=add_kernel](@2,@3) -> half_type, {1, 12}, {12, 1}"
LEVEL_2 = f"""\
Compiling ...
Run instruction: @0 = check_context::migraphx::gpu::context -> float_type, {{}}, {{}}
Time: 0.001ms, 0.002ms
Run instruction: x = @param:x -> float_type, {{1, 2}}, {{2, 1}}
Time: 0.001ms, 0.002ms
Run instruction: {GEMM}
Time: 0.1ms, 0.2ms
Output has normal, zero
Output: 0.5, 1, 2, 3, 4, ..., 5, 6, 7, 8, -9.25
Min value: -9.25, Max value: 9, Mean: 4.5, StdDev: 2.9
Run instruction: @3 = load[offset=0,end=8](@1) -> float_type, {{1, 12}}, {{12, 1}}
Time: 0.1ms, 0.2ms
Run instruction: {FUSED} # decoder/Add, decoder/Mul
Time: 0.1ms, 0.2ms
Output has normal
Output: 1, 1, 1, 1, 1, ..., 1, 1, 1, 1, 1
Min value: 1, Max value: 1, Mean: 1, StdDev: 0
Run instruction: @5 = slice[axes={{1}},starts={{0}},ends={{4}}](@4) -> half_type, {{1, 4}}, {{12, 1}} # decoder/Slice
Time: 0.1ms, 0.2ms
Output has normal, inf, nan
Output: 1.5, inf, -nan, -0.000123
Min value: -0.000123, Max value: inf, Mean: nan, StdDev: nan
Run instruction: @6 = gpu::convert[target_type=3](@5) -> int8_type, {{1, 4}}, {{4, 1}} # decoder/Slice
Time: 0.1ms, 0.2ms
Output has normal
Output: -1, 2, 3, 4
Min value: \xff, Max value: \x04, Mean: 2, StdDev: 1.8
Run instruction: @7 = gpu::topk[k=1](@6) -> [int8_type, {{1}}, {{1}}, int64_type, {{1}}, {{1}}] # decoder/TopK
Time: 0.1ms, 0.2ms
Output has normal
Output: {{4}}{{3}}
Min value: 4, Max value: 4, Mean: 4, StdDev: 0
Min value: 3, Max value: 3, Mean: 3, StdDev: 0
Run instruction: @8 = gpu::softmax(@6) -> float_type, {{1, 4}}, {{4, 1}} # migx_uid:12
Time: 0.1ms, 0.2ms
Output: 1, 2, 3, 4
Run instruction: @9 = hip::copy(@8) -> float_type, {{1, 4}}, {{4, 1}}
Time: 0.1ms, 0.2ms
Output: 1, 2, 3, 4
"""
PROGRAM = """\
module: "main"
@8 = gpu::softmax(@6) -> float_type, {1, 4}, {4, 1} # migx_uid:12
@10 = @return(@8, @6) # @output_0:logits, @output_1:tokens
"""


def trace(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("latin-1"))
    return path


def test_values_and_statistics_of_whole_nodes_are_read(tmp_path: Path) -> None:
    found = read_brought(trace(tmp_path / "run.log", LEVEL_2))
    assert found.kind == "migraphx-driver"
    assert [(one.names, one.role, one.shape, one.dtype, one.source, one.load is None) for one in found.tensors] == [
        (("decoder/Dense_0/MatMul",), "output", (1, 12), "float32", "run.log, line 6", True),
        (("decoder/Slice",), "output", (1, 4), "int8", "run.log, line 23", False),
    ]
    dense, last = found.tensors
    assert dict(dense.statistics) == {"min": -9.25, "max": 9.0, "mean": 4.5, "std": 2.9}
    assert dict(last.statistics) == {"mean": 2.0, "std": 1.8}
    assert values(last, (1, 4), "int8").tolist() == [[-1, 2, 3, 4]]
    assert found.notes == (
        "3 nodes left aside, for they were fused: decoder/Add, decoder/Mul, decoder/TopK",
        "1 instructions left aside, for no node is named; --debug-symbols names them",
        "values have the six digits that MIGraphX prints",
    )


def test_the_printed_program_names_the_outputs(tmp_path: Path) -> None:
    before = "@1 = @return(@0) # @output_0:wrong\n"
    found = read_brought(trace(tmp_path / "run.log", before + LEVEL_2 + PROGRAM))
    names = ["logits", "tokens", "decoder/Slice:0", "wrong"]
    assert sorted(matched(found, names)) == ["decoder/Slice:0", "logits", "tokens"]
    assert values(matched(found, ["logits"])["logits"], (4,), "float32").tolist() == [1, 2, 3, 4]


def test_all_values_of_level_3_are_read_where_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migraphx_trace, "LONGEST", 1 << 10)
    large = np.random.default_rng(0).normal(size=5000).astype(ml_dtypes.bfloat16)
    text = ", ".join(f"{float(value):.6g}" for value in large)
    lines = (
        "Run instruction: main:@1 = gpu::relu(x) -> bf16_type, {50, 100}, {100, 1} # a\nTime: 1ms, 1ms\n"
        f"Output: {text}\n"
        "Run instruction: main:@2 = gpu::neg(@1) -> bool_type, {2}, {1} # b\nTime: 1ms, 1ms\nOutput: 0, 1\n"
        "Run instruction: main:@3 = gpu::neg(@1) -> int64_type, {1}, {0} # c\nOutput: 9007199254740993\n"
    )
    first, second, third = read_brought(trace(tmp_path / "run.txt", lines)).tensors
    assert np.array_equal(values(first, (50, 100), "float32"), large.reshape(50, 100))
    assert values(second, (2,), "bool").tolist() == [False, True]
    assert values(third, (), "int64") == 9007199254740993


def test_runs_are_samples_and_the_reference_is_none(tmp_path: Path) -> None:
    line = "Run instruction: @1 = {}(x) -> float_type, {{2}}, {{1}} # a\nTime: 1ms, 1ms\nOutput: {}\n"
    found = read_brought(trace(tmp_path / "a.log", line.format("gpu::relu", "1, 2") + line.format("gpu::relu", "3, 4")))
    assert [(one.sample, one.load().tolist()) for one in found.tensors if one.load] == [(0, [1, 2]), (1, [3, 4])]
    verify = line.format("ref::op", "1, 2") + line.format("gpu::relu", "3, 4")
    found = read_brought(trace(tmp_path / "b.log", verify))
    assert [(one.sample, one.load().tolist()) for one in found.tensors if one.load] == [(0, [3, 4])]
    assert found.notes[0] == "the run of MIGraphX's own reference is left aside"
    assert len(read_brought(trace(tmp_path / "b.log", line.format("ref::op", "1, 2"))).tensors) == 1


def test_a_node_whose_last_part_was_fused_is_nobodys(tmp_path: Path) -> None:
    lines = (
        "Run instruction: @1 = gpu::exp(x) -> float_type, {2}, {1} # softmax\nOutput: 1, 2\n"
        "Run instruction: @2 = gpu::code_object[id=1](@1) -> float_type, {2}, {1} # mul, softmax\nOutput: 1, 2\n"
    )
    with pytest.raises(ArtifactError, match="expected tensors in outputs of migraphx-driver, found none"):
        read_brought(trace(tmp_path / "a.log", lines))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "rms_tol: 0.001\nMIGraphX verification passed successfully.\n",
            "expected traced instructions of migraphx-driver",
        ),
        ("RMS Error: 0.2\n", "MIGRAPHX_TRACE_EVAL=2 .3 for all values. and --debug-symbols"),
        (
            "Run instruction: @1 = add(x) -> float_type, {2}, {1}\nOutput: 1, 2\n",
            "no instruction is the whole of a named",
        ),
    ],
)
def test_a_text_without_named_values_says_how_to_get_them(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        read_brought(trace(tmp_path / "run.log", text))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("1, 2, thr", r"run.log, line 1: expected float32\[3\], found"),
        ("1, 2", r"line 1: expected float32\[3\], found"),
        ("1, 2, 3, 4", r"line 1: expected float32\[3\], found"),
        ("\xff", r"line 1: expected float32\[3\], found"),
    ],
)
def test_values_that_are_cut_cost_one_line(tmp_path: Path, told: str, reason: str) -> None:
    lines = f"Run instruction: @1 = add(x) -> float_type, {{3}}, {{1}} # a\nOutput: {told}\n"
    (one,) = read_brought(trace(tmp_path / "run.log", lines)).tensors
    with pytest.raises(ArtifactError, match=reason) as caught:
        values(one, (3,), "float32")
    assert "\n" not in str(caught.value)


def test_two_texts_are_told_apart_by_who_asks(tmp_path: Path) -> None:
    for name in ("a.log", "b.txt"):
        trace(tmp_path / name, LEVEL_2)
    with pytest.raises(ArtifactError, match=r"expected one text of migraphx-driver, found a.log, b.txt; name one"):
        read_brought(tmp_path)
