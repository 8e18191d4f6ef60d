"""Where an answer ends: at a text of several, wherever the pieces are cut."""

import pytest

from lwmport.generation.stops import until


def ended(pieces: list[str], stops: list[str]) -> tuple[list[str], bool]:
    found: list[str] = []
    made = until(iter(pieces), stops)
    while True:
        try:
            found.append(next(made))
        except StopIteration as end:
            return [piece for piece in found if piece], end.value


@pytest.mark.parametrize(
    ("pieces", "stops", "text", "stopped"),
    [
        (["ab", "cd"], [], ["ab", "cd"], False),
        (["ab", "cd"], ["bc"], ["a"], True),
        (["a", "b", "x"], ["bc"], ["a", "bx"], False),
        (["a", "b"], ["bc"], ["a", "b"], False),
        (["one. two. "], ["two", "one. t"], [], True),
        (["aaa", "ab"], ["aab"], ["a", "a"], True),
        (list("a\n\nUSER: x"), ["\nUSER:"], ["a", "\n"], True),
    ],
)
def test_an_answer_ends_at_the_first_of_some_texts(
    pieces: list[str], stops: list[str], text: list[str], *, stopped: bool
) -> None:
    assert ended(pieces, stops) == (text, stopped)
