"""The same cores for everyone."""

import os


def limit_threads(count: int) -> None:
    """Keep this process on the first ``count`` of its cores; to be called before a framework counts them.

    XLA has no option for its number of threads on a CPU: it asks how many cores it may run on. PyTorch and NumPy's
    linear algebra do as they are told here, ONNX Runtime by its session's options. A waiting OpenMP thread sleeps, for
    on a shared machine one that spins keeps the one that it waits for off its core: PyTorch is then 50 times slower.
    """
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:count]))
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))
