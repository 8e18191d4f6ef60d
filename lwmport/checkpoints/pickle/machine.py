"""The memory of the pickle machine: a stack with marks and a memo, all bounded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lwmport.checkpoints.cursor import Cursor
from lwmport.checkpoints.pickle.values import Bytes, Global, Text
from lwmport.checkpoints.tree import MAX_DEPTH, MAX_NAME
from lwmport.errors import CheckpointError

LARGEST_INDEX: Final = 1 << 32
"""Above every index of the memo. Python hashes an integer by its remainder to 2^61 - 1: larger ones could all meet."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What one kind of pickle may name and do: all of it is this program's own, nothing is the file's.

    Attributes:
        find: (module, name) -> the stand-in for that name.
        set_state: (target, state) -> nothing; what BUILD does.
        persistent: identity -> the object outside the pickle that it means; None where there are no such objects.
    """

    find: Callable[[str, str], Global]
    set_state: Callable[[object, object], None]
    persistent: Callable[[object], object] | None = None


class Machine:
    """Stack, marks and memo over a cursor. What it holds grows by at most one small object an opcode."""

    def __init__(self, cursor: Cursor, names: Names) -> None:
        self.cursor = cursor
        self.names = names
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> object:
        """Take the top of the stack.

        Raises:
            CheckpointError: there is nothing above the last mark.
        """
        if len(self.stack) <= self._floor():
            raise CheckpointError(f"damaged: nothing on the stack at offset {self.cursor.position}")
        return self.stack.pop()

    def top(self) -> object:
        """Return the top of the stack and leave it there."""
        value = self.pop()
        self.push(value)
        return value

    def pops(self, count: int) -> tuple[object, ...]:
        """Take ``count`` values, returned in the order in which they were put."""
        return tuple(reversed([self.pop() for _ in range(count)]))

    def mark(self) -> None:
        """Open a group of values."""
        if len(self.marks) >= MAX_DEPTH:
            raise CheckpointError(f"expected at most {MAX_DEPTH} values inside each other, found more")
        self.marks.append(len(self.stack))

    def group(self) -> list[object]:
        """Take everything above the last mark, and the mark."""
        if not self.marks:
            raise CheckpointError(f"damaged: no mark on the stack at offset {self.cursor.position}")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def remember(self, index: int) -> None:
        """Put the top of the stack into the memo.

        Raises:
            CheckpointError: there is none, or the index is one that no pickler counts up to.
        """
        if index >= LARGEST_INDEX:
            raise CheckpointError(f"damaged: expected an index below {LARGEST_INDEX:,} in the memo, found a larger one")
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """Put a remembered value on the stack."""
        if index not in self.memo:
            raise CheckpointError(f"damaged: nothing remembered as {index} at offset {self.cursor.position}")
        self.push(self.memo[index])

    def bytes(self, length: int) -> None:
        """Push ``length`` bytes, which stay in the file."""
        self.push(Bytes(self.cursor.skip(length), length))

    def text(self, length: int) -> None:
        """Push a UTF-8 text of ``length`` bytes."""
        self._text(self.cursor.skip(length), length, "utf-8")

    def text_line(self) -> None:
        """Push a line of escaped text (protocol 0)."""
        self._text(*self.cursor.line(), "raw-unicode-escape")

    def word(self, limit: int = MAX_NAME) -> str:
        """Return a short line: a number, or half of a name.

        Raises:
            CheckpointError: it is long, or not UTF-8.
        """
        offset, length = self.cursor.line()
        if length > limit:
            raise CheckpointError(f"expected a line of at most {limit} bytes at offset {offset}, found {length}")
        return self._decoded(offset, length, "utf-8")

    def _text(self, offset: int, length: int, codec: str) -> None:
        # Long text is bytes in disguise, or an attack; a name is short.
        value = self._decoded(offset, length, codec) if length <= MAX_NAME else None
        self.push(Text(value, offset, length, codec))

    def _decoded(self, offset: int, length: int, codec: str) -> str:
        try:
            return self.cursor.window(offset, length).take(length).decode(codec)
        except UnicodeDecodeError as error:
            raise CheckpointError(f"damaged: no {codec} text at offset {offset}: {error.reason}") from error

    def _floor(self) -> int:
        return self.marks[-1] if self.marks else 0
