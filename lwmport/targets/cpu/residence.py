"""How ONNX Runtime holds a model on a CPU, in a process of ours."""

from typing import Final

from lwmport.targets.residence import Residence

RESIDENCE: Final = Residence(
    process=80_000_000,
    caches=2,
    arena=True,
    mapped_tables=True,
    widened=True,
    packed=True,
    sources={
        "process": "Python, numpy, ONNX Runtime 1.31 and lwmport, measured without the weights of a model",
        "caches": "lwmport.Session hands the outputs of a run to the next one: old and new states are there at once",
        "arena": "ONNX Runtime: arena_extend_strategy kNextPowerOfTwo and enable_mem_pattern, its defaults",
        "mapped_tables": "ONNX Runtime maps external data, and packs only what a MatMul or a Conv reads",
        "packed": "ONNX Runtime unmaps a weight once it is packed (measured: the peak of opening, RssFile)",
        "widened": "ONNX Runtime computes float16 as float32 on a CPU and folds the casts (measured)",
    },
)
