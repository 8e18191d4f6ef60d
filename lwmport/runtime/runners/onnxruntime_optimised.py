"""ONNX Runtime's optimised model: its own rewriting of the graph, done once and kept."""

from pathlib import Path
from typing import Final

import onnxruntime

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.runners.onnxruntime import FLOAT_PRODUCTS

INLINE: Final = "1024"
"""Bytes up to which a weight stays inside of the graph's file."""


def write_optimised(path: Path, target: Path) -> tuple[Path, Path]:
    """Write the model as ONNX Runtime rewrites it, and return the graph and the file of its weights.

    The level is the last that gives one file for any machine: what comes after (layouts for the processor at hand) is
    done when the file is opened. Where float16 has no kernel, ONNX Runtime puts casts around the node, and names them
    anew within one graph only (microsoft/onnxruntime#4745, mended in part by #4811): a body that casts a value of the
    graph around it may give a name that is taken there, and the file is then refused as not in SSA form.
    `lwmport.targets.fix.unique_names` renames these.

    Raises:
        RunnerError: ONNX Runtime refuses the model.
    """
    data = target.with_name(f"{target.name}.data")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(*FLOAT_PRODUCTS)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data.name)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", INLINE)
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        raise RunnerError(f"ONNX Runtime refused {path}: {one_line(error)}") from error
    return target, data
