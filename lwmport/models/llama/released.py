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

OTHER_NAMES: Final[Mapping[str, str]] = {
    f"{owner}{name}{form}": config
    for name, config in _RELEASED.items()
    for owner in ("", f"{_OWNER}/")
    for form in ("", "-Jax")
}
"""Every way to write them -> configuration. Source: the model cards of LWM."""
