"""Dumps of an Ascend device and the tables of msit and msprobe: names, layouts, fusion, what is cut."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from ascend_files import dump, model, random, row, table, told
from test_layouts import in_blocks, in_fractals

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.read import matched, read_brought, values

TIME = "1682067845380164"
STEP = "dump_data/npu/20230421/0/decoder/1/0"


def put(root: Path, name: str, content: bytes | Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)


@pytest.mark.parametrize("packed", [True, False])
def test_a_dump_comes_back_in_the_models_sizes(tmp_path: Path, *, packed: bool) -> None:
    pictures, states = random(1, 20, 4, 5, dtype="float16"), random(2, 7, 20)
    content = dump(
        [told(in_blocks(pictures, 16), "NC1HWC0", pictures.shape), told(states, "ND", states.shape)],
        [told(in_fractals(states).astype(np.float32), "FRACTAL_NZ", states.shape)],
        operator="decoder/Conv_0/Conv",
        packed=packed,
    )
    put(tmp_path, f"{STEP}/Conv2D.decoder_Conv_0_Conv.8.5.{TIME}", content)
    found = read_brought(tmp_path)
    assert found.kind == "msit"
    assert found.notes == (
        (
            "2 taken for outputs of the nodes whose names they have, for neither a dump, a table nor a JSON of atc "
            "--mode=1 tells whose they are: decoder/Conv_0/Conv, decoder/Conv_0/Conv"
        ),
    )
    assert [(one.names, one.role, one.index, one.shape, one.dtype, one.layout) for one in found.tensors] == [
        (("decoder/Conv_0/Conv",), "input", 0, (2, 7, 20), "float32", ""),
        (("decoder/Conv_0/Conv",), "output", 0, (1, 20, 4, 5), "float16", ""),
        (("decoder/Conv_0/Conv",), "output", 1, (2, 7, 20), "float32", ""),
    ]
    ours = matched(found, ["decoder/Conv_0/Conv:0", "decoder/Conv_0/Conv:1"])
    assert np.array_equal(values(ours["decoder/Conv_0/Conv:0"], pictures.shape, "float32"), pictures)
    assert np.array_equal(values(ours["decoder/Conv_0/Conv:1"], states.shape, "float32"), states)
    assert np.array_equal(values(found.tensors[0], states.shape, "float32"), states)


def test_the_order_of_the_model_is_that_of_the_node(tmp_path: Path) -> None:
    cube = random(1, 16, 16, 16)
    for name, order in (("first", 0), ("last", 1)):
        content = dump([told(in_blocks(cube, 16), "NC1HWC0", cube.shape, name=name, format=order)])
        put(tmp_path, f"Relu.{name}.1.2.{TIME}", content)
    put(tmp_path, f"Relu.untold.1.2.{TIME}", dump([told(in_blocks(cube, 16), "NC1HWC0", cube.shape)]))
    first, last, untold = read_brought(tmp_path).tensors
    assert np.array_equal(values(first, cube.shape, "float32"), cube)
    assert np.array_equal(values(last, cube.shape, "float32"), cube.transpose(0, 2, 3, 1))
    with pytest.raises(ArtifactError, match=r"output 0 of Relu.untold.* in one way, found 2"):
        values(untold, cube.shape, "float32")


def test_bfloat16_integers_and_scalars_are_read(tmp_path: Path) -> None:
    narrow = random(4).astype(ml_dtypes.bfloat16)
    content = dump([told(narrow), told(np.array([3, -4], np.int64)), told(np.float32(2.5).reshape(()))])
    put(tmp_path, f"Cast.x.1.{TIME}", content)
    found = [one.load() for one in read_brought(tmp_path).tensors if one.load]
    assert found[0].dtype == ml_dtypes.bfloat16
    assert np.array_equal(found[0], narrow)
    assert found[1].tolist() == [3, -4]
    assert found[2] == 2.5


def test_a_fused_output_is_that_of_the_node_which_the_dump_names(tmp_path: Path) -> None:
    content = dump([told(random(1, 2), name="decoder/Mul_1", index=1)], operator="decoder/Sub_0decoder/Mul_1")
    put(tmp_path, f"Mul.decoder_Sub_0decoder_Mul_1.3.1.{TIME}", content)
    found = read_brought(tmp_path)
    assert [(one.names, one.index) for one in found.tensors] == [(("decoder/Mul_1",), 1)]
    assert found.notes == ()


def test_a_fused_output_is_told_by_the_model_of_the_device(tmp_path: Path) -> None:
    put(tmp_path, f"npu/Mul.Sub_26Mul_28.3.1.{TIME}.output.0.npy", random(1, 2))
    put(tmp_path, f"npu/Mul.Sub_30Mul_31.3.1.{TIME}.output.0.npy", random(1, 2))
    table(
        tmp_path / "result_20230421.csv",
        row("Sub_26Mul_28", "Sub_26,Mul_28", "Sub_26Mul_28:output:0"),
        row("Sub_30Mul_31", "Sub_30,Mul_31", "Sub_30Mul_31:output:0"),
    )
    model(tmp_path / "model/decoder.json", ("Sub_26Mul_28", [("Mul_28", 0)]))
    found = read_brought(tmp_path)
    assert [one.names for one in found.tensors] == [("Mul_28",), ("Sub_30Mul_31",)]
    assert found.notes == (
        (
            "1 left aside, for they stand for several nodes, and no JSON of atc --mode=1 tells whose output they are: "
            "result_20230421.csv, line 3"
        ),
    )


def test_arrays_that_msaccucmp_made_keep_what_their_names_tell(tmp_path: Path) -> None:
    pictures = random(1, 20, 4, 5)
    put(tmp_path, f"Conv2D.plain.8.5.{TIME}.output.0.npy", pictures)
    put(tmp_path, f"Conv2D.typed.8.5.{TIME}.output.0.NC1HWC0.npy", in_blocks(pictures, 16))
    put(tmp_path, f"Conv2D.turned.8.{TIME}.input.1.1x20x4x5.npy", pictures)
    put(tmp_path, f"Conv2D.binary.8.5.{TIME}.output.2.400.float16.NCHW.bin", pictures.astype(np.float16).tobytes())
    put(tmp_path, f"Conv2D.wide.8.5.{TIME}.output.0.400.bfloat16.ND.bin", pictures.tobytes())
    found = {one.names[0]: one for one in read_brought(tmp_path).tensors}
    assert {name: (one.role, one.index, one.layout) for name, one in found.items()} == {
        "binary": ("output", 2, ""),
        "plain": ("output", 0, ""),
        "turned": ("input", 1, ""),
        "typed": ("output", 0, "NC1HWC0"),
        "wide": ("output", 0, ""),
    }
    for name, one in found.items():
        expected = pictures.astype(np.float16) if name == "binary" else pictures
        assert np.array_equal(values(one, pictures.shape, "float32"), expected)


def test_long_names_are_found_in_their_mapping(tmp_path: Path) -> None:
    long = f"Add.{'x' * 300}.1.2.{TIME}.output.0.npy"
    put(tmp_path, "a/16820678453801640.npy", random(2))
    (tmp_path / "a/mapping.csv").write_text(f"16820678453801640.npy,{long}\n../../secret,Add.y.1.2.{TIME}\n")
    put(tmp_path, f"a/Add.z.1.2.{TIME}.output.0.npy", random(2))
    assert [one.names[0] for one in read_brought(tmp_path).tensors] == ["x" * 300, "z"]


def test_a_row_and_a_dump_of_one_tensor_are_one(tmp_path: Path) -> None:
    put(tmp_path, f"{STEP}/Mul.net_Mul_28.3.1.{TIME}", dump([told(random(1, 2))], operator="net/Mul_28"))
    put(tmp_path, f"{STEP.removesuffix('0')}1/Mul.net_Mul_28.3.1.{TIME}", dump([told(random(1, 2))]))
    put(tmp_path, "dump_data/npu/20230422/output_0.npy", random(1, 2))
    put(tmp_path, "dump_data/npu/20230422/output_0.bin", random(1, 2).tobytes())
    put(tmp_path, f"dump_data/onnx/net_Mul_28.0.{TIME}.npy", random(1, 2))
    put(tmp_path, "model/decoder.om", b"0")
    table(
        tmp_path / "result_20230421.csv",
        row("net/Mul_28", "net/Mul_28", "net/Mul_28:output:0"),
        row("net/Add_3", "net/Add_3", "net/Add_3:output:0", measures=f"NaN{',NaN' * 9},no dump,NO,NO,NO"),
        row("trans_TransData_1", "*", "trans_TransData_1:input:0"),
        f"9,NaN,Node_Output,NaN,NaN,output_0.npy,NaN,net_Mul_28.0.{TIME}.npy,[],NaN,{'0.5,' * 10}",
        row("net/Data", "net/Data", "NaN", shape="NaN"),
    )
    found = read_brought(tmp_path)
    assert [(one.names, one.role, one.sample, one.load is not None) for one in found.tensors] == [
        (("net/Mul_28",), "output", 0, True),
        (("net/Mul_28",), "output", 1, True),
        ((), "output", 0, True),
        (("net/Add_3",), "output", 0, False),
        (("trans_TransData_1",), "input", 0, False),
    ]
    first, _, whole, add, _ = found.tensors
    assert dict(first.statistics) == {
        "cosine": 0.999989,
        "max_abs": 0.01,
        "accumulated_rel": 0.002,
        "rel_euclid": 0.003,
        "kl": 0.0001,
        "mean_abs": 0.004,
        "rmse": 0.005,
        "max_rel": 0.3,
        "mean_rel": 0.06,
        "mean": 0.1,
        "std": 1.0,
        "reference_mean": 0.1,
        "reference_std": 1.1,
    }
    assert whole.statistics["cosine"] == 0.5
    assert (add.shape, add.dtype, dict(add.statistics)) == ((1, 2), "float16", {})
    assert found.notes == (
        "1 left aside, for they are neither dumps nor tables: model/decoder.om",
        f"1 left aside, for they are the reference's values: dump_data/onnx/net_Mul_28.0.{TIME}.npy",
    )
    assert matched(found, ["y"], outputs=["y"])["y"] is whole


def test_a_table_alone_is_statistics(tmp_path: Path) -> None:
    table(tmp_path / "result.csv", row("Mul_28", "Mul_28", "Mul_28:output:0", shape='"[1, 3,4,4]"'))
    (one,) = read_brought(tmp_path / "result.csv").tensors
    assert (one.names, one.shape, one.source) == (("Mul_28",), (1, 3, 4, 4), "result.csv, line 2")
    with pytest.raises(ArtifactError, match=r"result.csv, line 2: expected values, found statistics alone"):
        values(one, (1, 3, 4, 4), "float32")


def test_the_references_own_dump_is_read_where_nothing_else_is(tmp_path: Path) -> None:
    put(tmp_path, f"Add_100.0.{TIME}.npy", random(2))
    put(tmp_path, f"input_Add_100.1.{TIME}.npy", random(2))
    assert [(one.names[0], one.role, one.index) for one in read_brought(tmp_path).tensors] == [
        ("Add_100", "output", 0),
        ("Add_100", "input", 1),
    ]


def test_parts_of_tensors_are_left_aside(tmp_path: Path) -> None:
    put(tmp_path, f"Add.x.1.2.{TIME}", dump([told(random(2))]))
    put(tmp_path, f"Conv2D.net_lxslice0.2.9.{TIME}.4.487.0.0", b"0")
    put(tmp_path, f"Opdebug.Node_OpDebug.0.3.{TIME}", b"0")
    put(tmp_path, f"Add.x.1.2.{TIME}.output.0.npy", random(2))
    put(tmp_path, f"Sub.y.1.2.{TIME}", dump([told(random(2))]).replace(b"\x08\x01", b"\x08\x0d", 1))
    found = read_brought(tmp_path)
    assert [one.names[0] for one in found.tensors] == ["x"]
    assert found.notes[:-1] == (
        (
            "1 left aside, for they have no values that can be read: "
            f"output 0 of Sub.y.1.2.{TIME} has values of DataType 13, which no array holds"
        ),
        (
            "2 left aside, for they are parts of tensors, or the device's own records: "
            f"Conv2D.net_lxslice0.2.9.{TIME}.4.487.0.0, Opdebug.Node_OpDebug.0.3.{TIME}"
        ),
        f"1 left aside, for the dumps that they were made of tell more: Add.x.1.2.{TIME}.output.0.npy",
    )


WHOLE = dump([told(random(8, 8), "FRACTAL_NZ", (8, 8))], operator="x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a dump of an Ascend device, found no whole header in 0 bytes"),
        (WHOLE[:20], "no whole header in 20 bytes"),
        (WHOLE[:-1], "expected 256 bytes from byte .*, found 255; the file is cut: copy it again"),
        (b"\xff" * 64, "no whole header in 64 bytes"),
        (
            (40).to_bytes(8, "little") + b"\xff" * 64,
            "expected a whole protocol buffer, found a number that does not end",
        ),
        ((4).to_bytes(8, "little") + b"\x1a\x7f\x08\x01", "found field 3 of 127 bytes where 2 are left"),
        (WHOLE.replace(b"\x30\x80\x02", b"\x30\x80\x01"), r"expected float32\[8, 8\], found 128 bytes"),
    ],
)
def test_a_cut_dump_costs_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    put(tmp_path, f"Add.x.1.2.{TIME}", content)
    with pytest.raises(ArtifactError, match=reason) as caught:
        read_brought(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (row("a", "a", "a:output:0", shape='"[1,x]"'), r"result.csv, line 2: expected sizes as .*, found \[1,x\]"),
        (row("a", "a", "a:output:0", shape='"[1,-3]"'), "column Shape"),
        (row("a", "a", "a:output:0", shape=f'"[{"9" * 40}]"'), "column Shape"),
        ("3,Mul,a,float16", "line 2: expected 23 columns or more, found 4; the file is cut"),
        ('3,Mul,"' + "x" * 200_000, "expected a table of msit or msprobe, found"),
    ],
)
def test_a_damaged_table_costs_one_line(tmp_path: Path, line: str, reason: str) -> None:
    table(tmp_path / "result.csv", line)
    with pytest.raises(ArtifactError, match=reason):
        read_brought(tmp_path)


def test_a_damaged_model_of_the_device_costs_one_line(tmp_path: Path) -> None:
    table(tmp_path / "result.csv", row("a", "a", "a:output:0"))
    (tmp_path / "model.json").write_text('{"graph": [')
    with pytest.raises(ArtifactError, match=r"model.json: expected JSON of atc --mode=1, found damage"):
        read_brought(tmp_path)
    (tmp_path / "model.json").write_text('{"graph": {"op": 3}, "x": [{"op": [null, {"name": 3, "output_desc": [1]}]}]}')
    assert len(read_brought(tmp_path).tensors) == 1
