"""ONNX Runtime's optimised model: its own rewriting of the graph, done once and kept."""

from pathlib import Path
from typing import Final

import onnxruntime

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.runners.product_levels import FLOAT32, ROUNDED, SETTING, with_products

INLINE: Final = "1024"
"""Bytes up to which a weight stays inside of the graph's file."""


def write_optimised(path: Path, target: Path, *, rounded: bool = False, here: bool = False) -> tuple[Path, Path]:
    """Write the model as ONNX Runtime rewrites it, and return the graph and the file of its weights.

    The level is the last that gives one file for any machine: what comes after (layouts for the processor at hand) is
    done when the file is opened. Where float16 has no kernel, ONNX Runtime puts casts around the node, and names them
    anew within one graph only (microsoft/onnxruntime#4745, mended in part by #4811): a body that casts a value of the
    graph around it may give a name that is taken there, and the file is then refused as not in SSA form.
    `lwmport.targets.fix.unique_names` renames these.

    Args:
        path: the model.
        target: the graph to write.
        rounded: whether what is multiplied with weights of integers is rounded to 8 bits.
        here: whether the file is for this machine alone: with layouts for its processor, and weights packed as its
            kernels read them. It runs as fast, and opens in a tenth of the time (0.09 s beside 1.3 s, the VQGAN's
            decoder).

    Raises:
        RunnerError: ONNX Runtime refuses the model.
    """
    data = target.with_name(f"{target.name}.data")
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(SETTING, str(ROUNDED if rounded else FLOAT32))
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if here else levels.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", data.name)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", INLINE)
    if here:
        options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    try:
        model = with_products(path, ROUNDED) if rounded else str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        raise RunnerError(f"ONNX Runtime refused {path}: {one_line(error)}") from error
    return target, data
