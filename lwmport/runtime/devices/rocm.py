"""PyTorch on ROCm and on Hygon's DCU, which both answer to the device ``cuda``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.errors import RunnerError
from lwmport.extras import require
from lwmport.runtime.runners.transformers import TransformersRunner
from lwmport.runtime.spec import RunnerContext

DCU: Final = ("das", "dtk")
"""What the version of Hygon's PyTorch holds: ``2.4.1+das.opt2.dtk2504``."""

DCU_CHIPS: Final = ("gfx92", "gfx93")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The card that PyTorch sees. ``kind`` is ``rocm`` or ``dcu``, ``chip`` its architecture: ``gfx936``."""

    kind: str
    name: str
    chip: str


def card(torch: Any) -> Card:
    """Return the first card of a PyTorch built for ROCm.

    Raises:
        RunnerError: it is built for something else, or sees no card.
    """
    hip = getattr(torch.version, "hip", None)
    if not isinstance(hip, str):
        built = f"CUDA {torch.version.cuda}" if getattr(torch.version, "cuda", None) else "the CPU alone"
        raise RunnerError(
            f"expected PyTorch built for ROCm, found {torch.__version__} for {built}; install AMD's wheel, or on a DCU "
            "Hygon's whose das and dtk tags are those of the DTK"
        )
    if not torch.cuda.is_available():
        raise RunnerError(
            f"expected a card, found none though PyTorch {torch.__version__} is built for HIP {hip}: it is the driver "
            "or the container (/dev/kfd, /dev/dri, the group video, /opt/hyhal), not PyTorch"
        )
    properties = torch.cuda.get_device_properties(0)
    chip = str(getattr(properties, "gcnArchName", "")).partition(":")[0]
    hygon = any(tag in torch.__version__ for tag in DCU) or chip.startswith(DCU_CHIPS)
    return Card(kind="dcu" if hygon else "rocm", name=str(torch.cuda.get_device_name(0)), chip=chip)


def settle(torch: Any) -> None:
    """Turn off what changes numbers or has no kernels: TF32, and every scaled dot product attention but the plain one.

    Without Hygon's flash-attn only the plain one works on a DCU, and PyTorch's choice does not fall back to it.
    """
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.enable_flash_sdp(enabled=False)
    torch.backends.cuda.enable_mem_efficient_sdp(enabled=False)
    torch.backends.cuda.enable_math_sdp(enabled=True)


class RocmRunner(TransformersRunner):
    """Runs a Hugging Face folder of ours on the card.

    Raises:
        RunnerError: there is no card, or transformers refuses the folder.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        torch = require("torch")
        found = card(torch)
        settle(torch)
        self.name = f"transformers on {found.name}"
        super().__init__(path, threads, device="cuda")


def open_model(path: Path, context: RunnerContext) -> RocmRunner:
    """Return a Hugging Face folder of ours, ready to run on the card."""
    return RocmRunner(path, context.threads)
