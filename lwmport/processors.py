"""How many processors there are to work with, and what Linux says of them."""

import os
from pathlib import Path


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def described(entry: str) -> str | None:
    """Return what the first line of an entry says (``model name``, ``flags``); None where Linux tells nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(entry)), "")


def cores() -> int:
    """Return how many cores those processors lie on: two threads of one core share its units for products.

    Where Linux does not say which share a core, each is taken for one of its own.
    """
    if not hasattr(os, "sched_getaffinity"):
        return processors()
    return len({_siblings(number) for number in os.sched_getaffinity(0)})


def _siblings(number: int) -> str:
    """Return the processors of one core, as Linux lists them."""
    path = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return str(number)


def sums_pairs_in_16_bits() -> bool | None:
    """Return whether two products of 8 bits are summed in 16 bits here, saturated; None where Linux tells nothing.

    It is x86 without VNNI (ONNX Runtime, mlas/lib/platform.cpp: kernels of AVX-512 go before those of AVX2).
    """
    entry = described("flags")
    if entry is None:
        return None
    flags = set(entry.split())
    if {"avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "avx512_vnni" not in flags
    return "avx2" in flags and "avx_vnni" not in flags
