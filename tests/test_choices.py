"""Choices as people and files read them."""

import pytest

from lwmport.choices import Choice, is_random, lines, metadata, of_details, value_words

CHOICES = (
    Choice("heads", 32, "--config lwm-chat-1m"),
    Choice("theta", 5e7, "--config lwm-chat-1m"),
    Choice("chip", "Ascend310P3", "default of ascend"),
    Choice("configuration", "my.json", "--config my.json"),
    Choice("weights", "real.stream", "--checkpoint"),
)


def test_choices_of_one_source_are_one_line() -> None:
    assert lines(CHOICES[:3]) == (
        "heads 32, theta 50000000 (--config lwm-chat-1m)",
        "chip Ascend310P3 (default of ascend)",
    )


def test_metadata_names_no_file() -> None:
    assert metadata(CHOICES) == {
        "heads": "32 (--config lwm-chat-1m)",
        "theta": "50000000 (--config lwm-chat-1m)",
        "chip": "Ascend310P3 (default of ascend)",
    }


def test_metadata_says_that_weights_are_random() -> None:
    assert metadata([Choice("weights", "random (seed 3), not trained", "x")]) == {
        "weights": "random (seed 3), not trained"
    }


@pytest.mark.parametrize(("value", "words"), [(1e-6, "1e-06"), (5e7, "50000000"), (True, "yes"), ("x", "x"), (2, "2")])
def test_values_are_written_as_people_write_them(value: object, words: str) -> None:
    assert value_words(value) == words


def test_an_operator_that_refused_is_a_choice() -> None:
    (choice,) = of_details({"refused_forms": {"GroupQueryAttention": "head sizes that are a multiple of 8"}})
    assert choice.source == "it takes head sizes that are a multiple of 8 alone"


def test_random_weights_are_known_by_their_source() -> None:
    assert is_random({"kind": "seeded"})
    assert is_random({"kind": "file", "random_seed": 0})
    assert not is_random({"kind": "file"})
