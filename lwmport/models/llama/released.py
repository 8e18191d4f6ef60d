"""The names under which LWM's weights are released -> the configurations that they have."""

from collections.abc import Mapping
from typing import Final

_OWNER: Final = "LargeWorldModel"

_RELEASED: Final[Mapping[str, str]] = {
    "LWM-Text-128K": "lwm-text-128k",
    "LWM-Text-256K": "lwm-text-256k",
    "LWM-Text-512K": "lwm-text-512k",
    "LWM-Text-1M": "lwm-text-1m",
    "LWM-Text-Chat-128K": "lwm-text-128k",
    "LWM-Text-Chat-256K": "lwm-text-256k",
    "LWM-Text-Chat-512K": "lwm-text-512k",
    "LWM-Text-Chat-1M": "lwm-text-1m",
    "LWM-Chat-32K": "lwm-chat-32k",
    "LWM-Chat-128K": "lwm-chat-128k",
    "LWM-Chat-1M": "lwm-chat-1m",
}
"""Repository of Hugging Face, without its owner and the word for weights in JAX -> configuration."""

_OTHERS: Final[Mapping[str, str]] = {
    f"{owner}{name}": config
    for size in ("7b", "13b")
    for owner, name, config in (
        ("lmsys/", f"vicuna-{size}-delta-v0", f"vicuna-{size}-v0"),
        ("lmsys/", f"vicuna-{size}-v1.1", f"vicuna-{size}-v1.1"),
        ("lmsys/", f"vicuna-{size}-v1.3", f"vicuna-{size}-v1.1"),
        ("", f"vicuna-{size}-v1.3", f"vicuna-{size}-v1.1"),
        ("lmsys/", f"vicuna-{size}-v1.5", f"vicuna-{size}"),
        ("", f"vicuna-{size}-v1.5", f"vicuna-{size}"),
    )
} | {
    f"{owner}Llama-2-{size}{form}": f"llama-2-{size}"
    for size in ("7b", "13b", "70b")
    for owner in ("", "meta-llama/")
    for form in ("-hf", "-chat-hf")
}
"""Other people's models that compute the same."""

OTHER_NAMES: Final[Mapping[str, str]] = {
    **_OTHERS,
    **{
        f"{owner}{name}{form}": config
        for name, config in _RELEASED.items()
        for owner in ("", f"{_OWNER}/")
        for form in ("", "-Jax")
    },
}
"""Every way to write them -> configuration. Source: the model cards of LWM."""
