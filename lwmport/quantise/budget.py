"""Bits for each tensor within a budget: the next step is always the one that wins most for the bytes that it takes."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one tensor costs: bits -> bytes in a file, and bits -> loss. More bits are more bytes and less loss."""

    name: str
    bytes: Mapping[int, int]
    loss: Mapping[int, float]


def chosen(
    rows: Sequence[Sensitivity], *, most_bytes: float | None = None, most_loss: float | None = None
) -> dict[str, int]:
    """Return the bits of each tensor: the least of all, and more where they win most for their bytes.

    Losses are taken as if they added up. No step is taken that goes beyond ``most_bytes``, and none behind that which
    brings the loss to ``most_loss``.
    """
    bits = {row.name: min(row.bytes) for row in rows}
    steps = [step for row in rows for step in _steps(row, bits[row.name])]
    heapq.heapify(steps)
    named = {row.name: row for row in rows}
    total, loss = total_bytes(rows, bits), total_loss(rows, bits)
    while steps and (most_loss is None or loss > most_loss):
        _, name, wanted = heapq.heappop(steps)
        row, now = named[name], bits[name]
        more = row.bytes[wanted] - row.bytes[now]
        if most_bytes is not None and total + more > most_bytes:
            continue
        total, loss, bits[name] = total + more, loss - row.loss[now] + row.loss[wanted], wanted
        for step in _steps(row, wanted):
            heapq.heappush(steps, step)
    return bits


def total_bytes(rows: Sequence[Sensitivity], bits: Mapping[str, int]) -> int:
    """Return the bytes of all tensors."""
    return sum(row.bytes[bits[row.name]] for row in rows)


def total_loss(rows: Sequence[Sensitivity], bits: Mapping[str, int]) -> float:
    """Return the sum of the losses."""
    return sum(row.loss[bits[row.name]] for row in rows)


def _steps(row: Sensitivity, now: int) -> Iterator[tuple[float, str, int]]:
    """Yield the next step of a tensor: what it wins for a byte, less than 0, so that the largest comes first."""
    wider = [bits for bits in sorted(row.bytes) if bits > now]
    if wider and row.loss[now] > row.loss[wider[0]]:
        won = row.loss[now] - row.loss[wider[0]]
        yield -won / max(1, row.bytes[wider[0]] - row.bytes[now]), row.name, wider[0]
