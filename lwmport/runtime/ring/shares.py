"""Which tokens of a prompt each rank has: pieces in turn, so that each has as much past to look at as the others."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The tokens of a prompt, dealt out in pieces of ``chunk`` tokens: to rank 0, 1, 2 and so on, then 0 again.

    Of causal attention the last tokens are the most work. Were each rank's tokens neighbours, the last rank would have
    twice the mean, and all would wait for it. A prompt that is too short for a chunk on each rank has shorter pieces.
    """

    tokens: int
    ranks: int
    chunk: int

    @property
    def size(self) -> int:
        """Tokens of a piece; the last one may have fewer."""
        return min(self.chunk, -(-self.tokens // self.ranks))

    def all_pieces(self) -> list[tuple[int, int, int]]:
        """Return (rank, first token, token behind the last) of every piece, in the order of the tokens."""
        starts = range(0, self.tokens, self.size)
        return [
            (number % self.ranks, start, min(start + self.size, self.tokens)) for number, start in enumerate(starts)
        ]

    def pieces(self, rank: int) -> list[tuple[int, int]]:
        """Return (first token, token behind the last) of each piece of a rank."""
        return [(start, end) for owner, start, end in self.all_pieces() if owner == rank]

    def count(self, rank: int) -> int:
        """Return how many tokens a rank has."""
        return sum(end - start for start, end in self.pieces(rank))
