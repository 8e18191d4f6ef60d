"""Dumps of Compass's optimizer and simulator: names come from the IR, quantised values come back as numbers."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.read import matched, read_brought, values

HEAD = """\
model_name=decoder
model_domain=image_classification
layer_number=4
precision={precision}
compat_quantized_model=false
model_bin=./decoder.bin
input_tensors=[x_0]
output_tensors=[net/Conv_post_transpose_0,net/Split_1]
"""
LAYER = """
layer_id={id}
layer_name={name}
layer_type={type}
layer_bottom=[x_0]
layer_bottom_shape=[[1,2,2,3]]
layer_bottom_type=[{dtypes}]
layer_top=[{tops}]
layer_top_shape=[{shapes}]
layer_top_type=[{dtypes}]
"""
PICTURES = np.random.default_rng(0).normal(size=(1, 3, 2, 4)).astype(np.float32)
LAST = PICTURES.transpose(0, 2, 3, 1)


def layer(number: int, name: str, kind: str, tops: str, shapes: str, dtypes: str) -> str:
    return LAYER.format(id=number, name=name, type=kind, tops=tops, shapes=shapes, dtypes=dtypes)


def ir(path: Path, dtype: str = "float32", scales: tuple[str, str] = ("", "")) -> None:
    """An IR of a convolution whose axes are turned back, and of a split."""
    path.parent.mkdir(parents=True, exist_ok=True)
    one, two = scales
    path.write_text(
        HEAD.format(precision="int8" if one else "float32")
        + layer(0, "x", "Input", "x_0", "[1,2,4,3]", dtype)
        + layer(1, "net/Conv", "Convolution", "net/Conv_0", "[1,2,4,3]", dtype)
        + one
        + layer(2, "net/Conv_post_transpose", "Transpose", "net/Conv_post_transpose_0", "[1,3,2,4]", dtype)
        + one
        + layer(3, "net/Split", "Split", "net/Split_0,net/Split_1", "[2],[3]", f"{dtype},{dtype}")
        + two
    )


def put(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        array.tofile(path)


def test_the_optimizers_dump_is_named_by_the_ir(tmp_path: Path) -> None:
    ir(tmp_path / "decoder.txt")
    put(tmp_path / "opt_dump/float32/decoder_Convolution__net_Conv__o0_net_Conv_0.npy", LAST)
    put(tmp_path / "opt_dump/float32/decoder_Convolution__net_Conv__i0_x_0.npy", LAST)
    put(tmp_path / "opt_dump/float32/decoder_Convolution__net_Conv__w_net_Conv_weights.npy", LAST)
    put(tmp_path / "opt_dump/float32/other_name_Split__net_Split__o1_net_Split_1.npy", np.arange(3.0))
    found = read_brought(tmp_path)
    assert found.kind == "compass"
    assert [(one.names, one.role, one.index, one.layout) for one in found.tensors] == [
        (("net/Conv",), "output", 0, "NHWC"),
        (("net/Split",), "output", 1, ""),
    ]
    ours = matched(found, ["net/Conv:0", "net/Split:1"])
    assert np.array_equal(values(ours["net/Conv:0"], PICTURES.shape, "float32"), PICTURES)
    assert values(ours["net/Split:1"], (3,), "float32").tolist() == [0, 1, 2]
    assert found.notes == (
        (
            "2 left aside, for no output of a layer in the .txt is meant: "
            "opt_dump/float32/decoder_Convolution__net_Conv__i0_x_0.npy, "
            "opt_dump/float32/decoder_Convolution__net_Conv__w_net_Conv_weights.npy"
        ),
    )


def test_quantised_values_are_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    ir(tmp_path / "decoder.txt")
    channels = "layer_top_scale_offset=[0,8]\nlayer_top_scale_size=[8,12]\n"
    ir(tmp_path / "decoder_o.txt", "int8", ("layer_top_scale=[20.0]\nlayer_top_zp=[-3]\n", channels))
    quantised = np.clip(np.round(LAST * 20.0) + 3, -128, 127).astype(np.float32)  # the dump holds floats
    for folder, array in (("float32", LAST), ("quant", quantised)):
        put(tmp_path / folder / "decoder_Convolution__net_Conv__o0_net_Conv_0.npy", array)
    put(tmp_path / "quant/decoder_Split__net_Split__o0_net_Split_0.npy", np.arange(2.0))
    found = read_brought(tmp_path)
    (one,) = found.tensors
    assert one.dtype == "float32"
    assert np.abs(values(one, PICTURES.shape, "float32") - PICTURES).max() <= 0.5 / 20 + 1e-6
    assert found.notes == (
        (
            "1 left aside, for quant/ has the quantised model, which is the device's; name float32/ for these: "
            "float32/decoder_Convolution__net_Conv__o0_net_Conv_0.npy"
        ),
        (
            "1 left aside, for their values cannot be read: quant/decoder_Split__net_Split__o0_net_Split_0.npy has a "
            "scale a channel, which the .txt does not tell"
        ),
    )


def test_a_quantised_dump_is_told_by_its_folder(tmp_path: Path) -> None:
    ir(tmp_path / "quant/decoder_o.txt", "int8", ("layer_top_scale=[20.0]\nlayer_top_zp=[0]\n", ""))
    name = "decoder_Convolution__net_Conv__o0_net_Conv_0.npy"
    put(tmp_path / "quant" / name, np.full((1, 2, 4, 3), 20.0))
    (one,) = read_brought(tmp_path / "quant").tensors
    assert values(one, PICTURES.shape, "float32").max() == 1.0
    (tmp_path / "quant").rename(tmp_path / "other")
    with pytest.raises(ArtifactError, match=r"may be quantised or not: only the folder, float32/ or quant/, tells"):
        read_brought(tmp_path / "other")


def test_the_order_of_axes_is_followed_from_layer_to_layer(tmp_path: Path) -> None:
    cubes = np.random.default_rng(1).normal(size=(5, 1, 4, 4, 4)).astype(np.float32)
    kinds = {"conv": "Convolution", "relu": "Activation", "dot": "MatMul", "x": "Input", "abs": "Activation"}
    below = {"relu": "conv_0", "abs": "x_0"}
    text = HEAD.format(precision="float32")
    for number, (name, kind) in enumerate(kinds.items()):
        made = layer(number, name, kind, f"{name}_0", "[1,4,4,4]", "float32")
        text += made.replace("layer_bottom=[x_0]", f"layer_bottom=[{below.get(name, '')}]")
        put(tmp_path / f"{number}_[{name}]_{name}_0.bin", cubes[number])
    (tmp_path / "decoder.txt").write_text(text)
    found = matched(read_brought(tmp_path), [f"{name}:0" for name in kinds])
    turned = cubes.transpose(0, 1, 4, 2, 3)
    for number, expected in enumerate((turned[0], turned[1], None, cubes[3], cubes[4])):
        one = found[f"{list(kinds)[number]}:0"]
        if expected is None:
            with pytest.raises(ArtifactError, match=r"in NHWC or the model's to fit .* in one way, found 2"):
                values(one, (1, 4, 4, 4), "float32", order="NCHW")
        else:
            assert np.array_equal(values(one, (1, 4, 4, 4), "float32", order="NCHW"), expected)


@pytest.mark.parametrize(
    "name",
    [
        "1_opt_0_Convolution_net_Conv_0.bin",
        "1_[net_Conv]_net_Conv_0.bin",
        "dumptensor_7_Convolution_net_Conv_0.bin",
        "1_gt_exe_0_Convolution_net_Conv_0.bin",
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfp16"])
def test_raw_dumps_take_sizes_and_dtype_from_the_ir(tmp_path: Path, name: str, dtype: str) -> None:
    ir(tmp_path / "decoder.txt", dtype)
    stored = LAST.astype(ml_dtypes.bfloat16 if dtype == "bfp16" else dtype)
    put(tmp_path / name, stored)
    (one,) = read_brought(tmp_path).tensors
    assert (one.names, one.shape) == (("net/Conv",), (1, 2, 4, 3))
    assert np.array_equal(values(one, PICTURES.shape, "float32"), stored.transpose(0, 3, 1, 2))


def test_bfloat16_that_was_widened_is_read(tmp_path: Path) -> None:
    ir(tmp_path / "decoder.txt", "bfp16")
    put(tmp_path / "1_opt_0_Convolution_net_Conv_0.bin", LAST)
    assert np.array_equal(values(read_brought(tmp_path).tensors[0], PICTURES.shape, "float32"), PICTURES)


def test_layers_that_only_move_values_are_left_aside(tmp_path: Path) -> None:
    ir(tmp_path / "decoder.txt")
    put(tmp_path / "1_[net_Conv]_net_Conv_0.bin", LAST)
    put(tmp_path / "2_[net_Conv_post_transpose]_net_Conv_post_transpose_0.bin", PICTURES)
    found = read_brought(tmp_path)
    assert [one.names for one in found.tensors] == [("net/Conv",)]
    assert found.notes == (
        (
            "1 left aside, for such layers only move values, and the parser may have exchanged them with others: "
            "2_[net_Conv_post_transpose]_net_Conv_post_transpose_0.bin"
        ),
    )


def test_the_models_outputs_are_told_by_their_order(tmp_path: Path) -> None:
    ir(tmp_path / "decoder_o.txt", "int8", ("layer_top_scale=[20.0]\nlayer_top_zp=[0]\n", ""))
    put(tmp_path / "output0.bin", np.round(PICTURES * 20).astype(np.int8))
    put(tmp_path / "out_1.bin", np.arange(3, dtype=np.int8))
    put(tmp_path / "output2.bin", np.arange(3, dtype=np.int8))
    found = read_brought(tmp_path)
    ours = matched(found, ["pixel_values", "parts"], outputs=["pixel_values", "parts"])
    assert np.abs(values(ours["pixel_values"], PICTURES.shape, "float32") - PICTURES).max() <= 0.5 / 20 + 1e-6
    assert values(ours["parts"], (3,), "float32").tolist() == [0, 1, 2]
    assert found.notes == ("1 left aside, for no output of a layer in the .txt is meant: output2.bin",)


def test_a_long_name_is_cut_as_the_optimizer_cuts_it(tmp_path: Path) -> None:
    name = "n" * 200
    text = HEAD.format(precision="float32") + layer(0, name, "Add", f"{name}_0", "[2]", "float32")
    (tmp_path / "decoder.txt").write_text(text)
    put(tmp_path / f"{f'decoder_Add__{name}__o0_{name}_0'[:250]}.npy", np.arange(2.0))
    put(tmp_path / f"{f'0_opt_0_Add_{name}_0'[:249]}.bin", np.arange(2, dtype=np.float32))
    assert [one.names for one in read_brought(tmp_path).tensors] == [((name),), ((name),)]


def test_dumps_without_an_ir_say_what_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "decoder_Convolution__net_Conv__o0_net_Conv_0.npy", LAST)
    with pytest.raises(ArtifactError, match=r"expected Compass's .txt, which names the layers, .* found none; copy"):
        read_brought(tmp_path)


def test_names_of_the_closed_tool_that_fit_two_tensors_are_left_aside(tmp_path: Path) -> None:
    layers = [layer(number, name, "Add", f"{name}_0", "[2]", "float32") for number, name in enumerate(("a/b", "a_b"))]
    (tmp_path / "decoder.txt").write_text(HEAD.format(precision="float32") + "".join(layers))
    put(tmp_path / "dumptensor_1_Add_a_b_0.bin", np.arange(2, dtype=np.float32))
    with pytest.raises(
        ArtifactError, match=r"expected tensors in outputs of compass, found none .*no output of a layer"
    ):
        read_brought(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ("layer_top_shape=[[1,2,4,3]]", "layer_top_shape=[]"),
            "expected a shape and a type for each of 1 tensors, found 0",
        ),
        (("layer_top_shape=[[1,2,4,3]]", "layer_top_shape=[[1,x]]"), "layer x: expected sizes as .*, found 1,x"),
        (("layer_top_shape=[[1,2,4,3]]", "layer_top_shape=[[99999999999999]]"), "expected sizes as"),
        (("layer_top_shape=[[1,2,4,3]]", "layer_top_shape=[[1,2,4,4]]"), r"float32\[1, 2, 4, 4\], as the .txt tells"),
        (("layer_top_type=[float32]", "layer_top_type=[object]"), r"expected object\[1, 2, 4, 3\]"),
        (("layer_top_type=[float32]", "layer_top_type=[aligned_int4]"), r"expected aligned_int4\[1, 2, 4, 3\]"),
    ],
)
def test_a_damaged_ir_costs_one_line(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    old, new = change
    text = HEAD.format(precision="float32") + layer(0, "x", "Convolution", "x_0", "[1,2,4,3]", "float32")
    (tmp_path / "decoder.txt").write_text(text.replace(old, new))
    put(tmp_path / "0_opt_0_Convolution_x_0.bin", LAST)
    with pytest.raises(ArtifactError, match=reason):
        read_brought(tmp_path)


def test_two_models_are_told_apart_by_who_asks(tmp_path: Path) -> None:
    ir(tmp_path / "a.txt")
    ir(tmp_path / "b.txt")
    with pytest.raises(ArtifactError, match=r"expected the .txt of one model, or of it and its quantised one, found 2"):
        read_brought(tmp_path)
