"""Vendors' compilers: the exact command and configuration, the run where the tool is installed, and the verdict."""

from typing import Final

from lwmport.registry import Registry

COMPILERS: Final = Registry(
    "target",
    {
        "aipu": "lwmport.targets.aipu.compile:compile_artifact",
        "ascend": "lwmport.targets.ascend.compile:compile_artifact",
        "cpu": "lwmport.targets.cpu.compile:compile_artifact",
        "migraphx": "lwmport.targets.migraphx.compile:compile_artifact",
    },
)
"""Target -> ``compile_artifact(job, out)``, which returns a `lwmport.types.Compilation`."""

PRECISIONS: Final = {"aipu": "int8", "ascend": "float32", "cpu": "float32", "migraphx": "float32"}
"""Target -> the precision that is meant when none is named: what is in the file, where the device has that."""
