import pytest

from lwmport.errors import CheckpointError, PortError
from lwmport.wording import LONGEST, LONGEST_SENTENCE, printable, shown, told

OBEYED = ["\x00", "\x07", "\x1b[2J", "\x7f", "\x9b31m", "\u202egnp.exe", "\u2066", "\u200b", "\ud800", "\ufeff"]


@pytest.mark.parametrize("text", OBEYED)
def test_what_a_terminal_obeys_is_escaped(text: str) -> None:
    for made in (printable(f"a{text}b"), shown(f"a{text}b"), told(f"a{text}b"), str(CheckpointError(f"a{text}b"))):
        assert made.isprintable()
        assert made.startswith("a\\")
        assert made.endswith("b")


def test_what_a_reader_sees_stays() -> None:
    text = "Gewicht/权重/вес 'a' \\ \"b\""
    assert printable(text) == shown(text) == told(text) == str(PortError(text)) == text
    assert printable("two\nlines\tof") == "two\nlines\tof"
    assert shown("two\nlines") == r"two\nlines"


def test_a_long_name_is_cut_at_its_end_and_a_long_sentence_within() -> None:
    assert shown("a" * 1000) == "a" * LONGEST + "..."
    sentence = told("begin" + "x" * 10_000 + "end")
    assert len(sentence) < LONGEST_SENTENCE + 60
    assert sentence.startswith("begin")
    assert sentence.endswith("end")
    assert "8,008 characters left out" in sentence
