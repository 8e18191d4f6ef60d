"""Options of ONNX Runtime's providers, as a file that `lwmport.runtime.devices.providers` opens a session with."""

import json
from typing import Any, Final

_CANN: Final = {
    "float32": "must_keep_origin_dtype",
    "mixed": "allow_mix_precision",
    "float16": "force_fp16",
    "bfloat16": "allow_mix_precision_bf16",
}
"""The provider has the first form of CANN's precision modes."""

_MIGRAPHX: Final = {
    "float16": {"migraphx_fp16_enable": "1"},
    "bfloat16": {"migraphx_bf16_enable": "1"},
    "int8": {"migraphx_int8_enable": "1"},
}


def provider_file(provider: str, precision: str, name: str) -> bytes:
    """Return provider, options, session settings and environment as JSON.

    ``session.disable_cpu_ep_fallback`` makes nodes that would run on the CPU an error.
    """
    options: dict[str, str] = {"device_id": "0"}
    environment: dict[str, str] = {}
    if provider == "CANNExecutionProvider":
        options |= {"enable_cann_graph": "1", "precision_mode": _CANN[precision]}
    else:
        # Without a cache each session compiles anew. Booleans are parsed as numbers: true is none.
        options |= {"migraphx_model_cache_dir": f"{name}.cache", **_MIGRAPHX.get(precision, {})}
        environment = {"ORT_MIGRAPHX_MODEL_CACHE_PATH": f"{name}.cache"}
    document: dict[str, Any] = {
        "provider": provider,
        "options": options,
        "session": {"session.disable_cpu_ep_fallback": "1"},
        "environment": environment,
    }
    return (json.dumps(document, indent=1) + "\n").encode()
