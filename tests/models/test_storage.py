"""Which weights of a component a scheme stores, and how many bytes that makes."""

import pytest

from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.storage import stored_names, written_bytes


def test_matrices_are_stored_and_what_the_family_keeps_is_not() -> None:
    encoder, decoder = resolve("vqgan", "debug").components
    codebook = "quantize/embeddings"
    assert codebook in encoder.kept
    assert codebook in stored_names(decoder, "float16")
    assert codebook not in stored_names(encoder, "float16")
    assert all(len(encoder.weights[name].shape) == 4 for name in stored_names(encoder, "float16"))
    assert stored_names(encoder, "") == frozenset()


def test_written_bytes_are_half_but_for_what_is_kept() -> None:
    for component in resolve("vqgan", "debug").components:
        whole = sum(spec.nbytes for spec in component.weights.values())
        halved = sum(component.weights[name].nbytes for name in stored_names(component, "float16"))
        assert written_bytes(component, "") == whole
        assert written_bytes(component, "float16") == whole - halved // 2


def test_an_unknown_scheme_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="out of float16, float32, found 'flaot16'; did you mean 'float16'"):
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
