"""Which weights of a component a scheme stores, and how many bytes that makes."""

import json
from dataclasses import replace

import pytest

from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.storage import main_scheme, schemes_of, stored_as, written_bytes

HALF = Options(store="float16")


def test_matrices_are_stored_and_what_the_family_keeps_is_not() -> None:
    encoder, decoder = resolve("vqgan", "debug").components
    codebook = "quantize/embeddings"
    assert codebook in encoder.kept
    assert codebook in schemes_of(decoder, HALF)
    assert codebook not in schemes_of(encoder, HALF)
    assert all(len(encoder.weights[name].shape) == 4 for name in schemes_of(encoder, HALF))
    assert schemes_of(encoder, Options()) == {}


def test_written_bytes_are_half_but_for_what_is_kept() -> None:
    for component in resolve("vqgan", "debug").components:
        whole = sum(spec.nbytes for spec in component.weights.values())
        halved = sum(component.weights[name].nbytes for name in schemes_of(component, HALF))
        assert written_bytes(component, Options()) == whole
        assert written_bytes(component, HALF) == whole - halved // 2


def test_an_unknown_scheme_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="out of float16, bfloat16, float32, found 'flaot16'; did you mean 'float16'"):
        Options(store="flaot16")


def test_a_narrow_model_is_stored_narrow_already() -> None:
    with pytest.raises(UsageError, match="--precision float32 with --store float16, found --precision float16"):
        Options(store="float16", precision="float16")


def test_options_tell_it_and_read_it_again() -> None:
    options = Options(store="float16")
    assert options.to_json() == {"store": "float16"}
    assert options.words() == ["--store", "float16"]
    assert Options.from_json(options.to_json()) == options
    assert "store" not in Options().to_json()


W4 = Options(quantize="w4a16")
REFUSED = {
    "two schemes": ({"store": "float16", "quantize": "w4a16"}, "--store or --quantize, found --store float16 beside"),
    "a narrow model": (
        {"quantize": "w8a16", "precision": "float16"},
        "--precision float32 with --quantize w8a16, found",
    ),
    "a group beside nothing": (
        {"group_size": 64},
        "--group-size 64 beside --quantize out of w8a16, .* found no --quant",
    ),
    "zero points of nothing": ({"symmetric": False}, "expected --asymmetric beside --quantize"),
    "a method of nothing": ({"method": "mse"}, "expected --method mse beside --quantize"),
    "kept of nothing": ({"keep": ("a=float16",), "store": "float16"}, "expected --keep a=float16 beside --quantize"),
    "a group of no kernel": (
        {"quantize": "w4a16", "group_size": 48},
        "--group-size out of 16, 32, 64, 128, 256, found 48",
    ),
    "a dtype that nothing is kept in": ({"quantize": "w4a16", "keep": ("*=int8",)}, "PATTERN=float32, found '.*=int8'"),
    "no dtype": ({"quantize": "w4a16", "keep": ("lm_head/kernel",)}, "PATTERN=float32, found 'lm_head/kernel'"),
    "a method that there is not": ({"quantize": "w4a16", "method": "rtm"}, "did you mean 'rtn'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_do_not_go_together_are_refused_in_one_line(case: str) -> None:
    options, expected = REFUSED[case]
    with pytest.raises(UsageError, match=expected) as found:
        Options(**options)
    assert "\n" not in str(found.value)


def test_matrices_and_tables_have_groups_along_what_a_product_adds_up() -> None:
    (component,) = resolve("llama", "debug").components
    found = schemes_of(component, W4)
    assert {name for name, spec in component.weights.items() if len(spec.shape) == 2} == set(found)
    assert {name: scheme.channel for name, scheme in found.items() if name.endswith("embedding")} == {
        "transformer/wte/embedding": 0
    }
    assert {scheme.channel for name, scheme in found.items() if name.endswith("kernel")} == {-1}
    assert {(scheme.bits, scheme.group) for scheme in found.values()} == {(4, 32)}


def test_kernels_of_convolutions_have_a_scale_for_each_output_and_8_bits() -> None:
    _, decoder = resolve("vqgan", "debug").components
    found = schemes_of(decoder, Options(quantize="w8a16"))
    assert {len(decoder.weights[name].shape) for name in found} == {4}
    assert {(scheme.bits, scheme.group, scheme.symmetric) for scheme in found.values()} == {(8, 0, True)}
    with pytest.raises(UsageError, match="tables for --quantize w4a16, found none among the weights of vqgan-decoder"):
        resolve("vqgan-decoder", "debug", W4)
    with pytest.raises(UsageError, match="for --asymmetric, found kernels of convolutions alone in vqgan-decoder"):
        resolve("vqgan-decoder", "debug", Options(quantize="w8a16", symmetric=False))
    main = main_scheme(decoder, Options(quantize="w8a16"))
    assert main is not None
    assert main.title == "w8a16 (a scale for each output, symmetric, rtn)"


def test_what_is_kept_is_stored_in_its_own_dtype() -> None:
    kept = ("*/wo/kernel=float16", "lm_head/*=float32", "*head/kernel=float16")
    (component,) = resolve("llama", "debug").components
    found = schemes_of(component, replace(W4, keep=kept))
    assert {scheme.name for name, scheme in found.items() if "/wo/" in name} == {"float16"}
    assert "lm_head/kernel" not in found
    with pytest.raises(UsageError, match="such as lm_head/kernel, found --keep norm=float32, which fits none of llama"):
        resolve("llama", "debug", replace(W4, keep=("norm=float32",)))


def test_options_of_quantisation_tell_themselves_and_are_read_again() -> None:
    options = Options(quantize="w4a16", group_size=64, symmetric=False, method="hqq", keep=("lm_head/*=float16",))
    words = "--quantize w4a16 --group-size 64 --asymmetric --method hqq --keep lm_head/*=float16"
    assert " ".join(options.words()) == words
    assert Options.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert stored_as(options) == "w4a16 (groups of 64, asymmetric, hqq)"
    assert stored_as(Options()) == ""
