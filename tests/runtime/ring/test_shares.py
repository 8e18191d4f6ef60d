"""Every token has one rank, and causal attention is as much work for each."""

import pytest

from lwmport.runtime.ring.shares import Shares


@pytest.mark.parametrize(("tokens", "ranks", "chunk"), [(1, 4, 8), (7, 4, 2), (16, 4, 512), (100, 3, 8), (64, 1, 16)])
def test_pieces_are_all_tokens_once_and_in_order(tokens: int, ranks: int, chunk: int) -> None:
    shares = Shares(tokens=tokens, ranks=ranks, chunk=chunk)
    pieces = shares.all_pieces()
    assert [place for _, start, end in pieces for place in range(start, end)] == list(range(tokens))
    assert all(0 < end - start <= chunk for _, start, end in pieces)
    assert sum(shares.count(rank) for rank in range(ranks)) == tokens
    assert [(start, end) for owner, start, end in pieces if owner == ranks - 1] == shares.pieces(ranks - 1)


def test_a_prompt_shorter_than_a_chunk_on_each_rank_is_still_shared_out() -> None:
    assert [Shares(tokens=16, ranks=4, chunk=512).count(rank) for rank in range(4)] == [4] * 4


def test_the_work_of_causal_attention_is_shared_out() -> None:
    shares = Shares(tokens=4096, ranks=4, chunk=64)
    work = [sum(place + 1 for start, end in shares.pieces(rank) for place in range(start, end)) for rank in range(4)]
    assert max(work) < 1.1 * min(work)
