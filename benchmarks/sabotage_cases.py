"""The conversions that faults are planted in, and the clean ones on which no alarm may sound; all of debug size."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert

SMALL = ("vocab_size=512",)
"""Tokens of a language model: all others are of no use to a search for a wrong operator."""
CACHE, PROMPT = 32, 8
PICTURES = ("vqgan-encoder", "vqgan-decoder")
TOWERS = ("minigpt4-vision", "llava-vision")
LANGUAGE = ("llama-prefill", "llama-decode", "llama-block-prefill", "llama-block-decode")
DYNAMIC = ("llama", "llama-block", "llama-embed", "llama-head")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One conversion of one component.

    ``long`` doubles the lengths of a language model. ``foreign`` is whether faults go into PyTorch's export of the same
    component instead, and the conversion only tells what that is of.
    """

    component: str
    format: str
    dialect: str
    precision: str = "float32"
    batch: int = 1
    long: bool = False
    foreign: bool = False
    seed: int = field(default=0)

    @property
    def name(self) -> str:
        """What a table calls it."""
        sizes = f" batch {self.batch}" * (self.batch > 1) + " long" * self.long + " by torch" * self.foreign
        return f"{self.component} {self.format}/{self.dialect} {self.precision}{sizes}"

    def convert(self, out: Path) -> Path:
        """Convert it into a new folder and return its model file."""
        request = ConvertRequest(
            component=self.component,
            format=self.format,
            dialect=self.dialect,
            config="debug",
            batch=self.batch,
            seed=self.seed,
            validate=False,
            out=out,
            options=self._options(),
        )
        convert(request)
        return next(path for path in sorted(out.iterdir()) if path.suffix in {".onnx", ".tflite"})

    def _options(self) -> Options:
        if self.component in (*PICTURES, *TOWERS):
            return Options(precision=self.precision)
        twice = 2 if self.long else 1
        return Options(
            settings=SMALL,
            precision=self.precision,
            max_length=twice * CACHE if self.component in LANGUAGE else None,
            sequence=twice * PROMPT if self.component.endswith("prefill") else None,
        )


def _all(components: tuple[str, ...], dialects: tuple[tuple[str, str], ...], precisions: tuple[str, ...]) -> list[Case]:
    pairs = itertools.product(components, dialects, precisions)
    return [Case(component=one, format=to[0], dialect=to[1], precision=precision) for one, to, precision in pairs]


FAULTY = (
    *_all(PICTURES, (("onnx", "ort"), ("onnx", "ascend"), ("tflite", "litert")), ("float32",)),
    *_all(
        ("llama-decode", "llama-prefill"), (("onnx", "ascend"), ("onnx", "onnx"), ("tflite", "litert")), ("float32",)
    ),
    *_all(("llama",), (("onnx", "ort"), ("onnx", "onnx")), ("float32",)),
    *_all(TOWERS, (("onnx", "ort"), ("onnx", "ascend"), ("tflite", "litert")), ("float32",)),
    *_all(("vqgan-decoder", "llama-decode"), (("onnx", "ascend"), ("tflite", "litert")), ("float16",)),
)
"""What faults are planted in."""

FOREIGN = tuple(
    Case(component=one, format="onnx", dialect="onnx", foreign=True) for one in (*PICTURES, "llama", *TOWERS)
)
"""What faults are planted in with ``--foreign``."""

CLEAN = (
    *_all(
        PICTURES,
        (("onnx", "ort"), ("onnx", "ascend"), ("onnx", "aipu"), ("tflite", "litert"), ("tflite", "tflite")),
        ("float32", "float16"),
    ),
    *_all(("llama-decode", "llama-prefill"), (("onnx", "ascend"), ("tflite", "litert")), ("float32", "float16")),
    *_all(("llama-decode", "llama-prefill"), (("onnx", "migraphx"), ("onnx", "aipu")), ("float32",)),
    *_all(("llama-block-decode", "llama-block-prefill"), (("onnx", "ort"), ("tflite", "litert")), ("float32",)),
    *_all(("llama",), (("onnx", "ort"), ("onnx", "onnx")), ("float32", "float16")),
    *_all(("llama-embed", "llama-head"), (("onnx", "ort"),), ("float32",)),
    *(Case(component=one, format="onnx", dialect="ort", batch=2) for one in PICTURES),
    *(Case(component=one, format="tflite", dialect="litert", batch=3) for one in PICTURES),
    *(Case(component=one, format="onnx", dialect="ascend", long=True) for one in LANGUAGE[:2]),
    *(Case(component=one, format="tflite", dialect="litert", long=True, seed=1) for one in LANGUAGE[:2]),
)
"""On what no alarm may sound."""
