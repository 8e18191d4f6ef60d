"""Pictures and videos that an assembled model makes from a description."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lwmport import atomic
from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, Draw, draw_by_seed
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.generation.video import write_video
from lwmport.pipeline.assemble.package import Package, open_package
from lwmport.pipeline.observer import Observer, Silent, tell_steps
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.session import Session
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.registry import load
from lwmport.requests import by_fields, check_types
from lwmport.types import Array

VISION: Final = "vision"
IMAGES: Final = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS: Final = (".mp4",)


@dataclass(frozen=True, kw_only=True)
class PaintRequest:
    """A picture or a video to make.

    Attributes:
        model: a folder that ``assemble`` made, with pictures.
        prompt: what is to be seen.
        out: the file: .png, .jpg, .jpeg or .webp for a picture, .mp4 for a video.
        frames: 1 for a picture, more for a video.
        cfg_scale: classifier-free guidance.
        temperature: what logits are divided by.
        top_k: how many of the largest logits stay; None for the usual number of the family.
        top_p: the probability that the tokens that stay have together, at least.
        seed: of what is drawn.
        own_random: draw as the model's own scripts draw, which needs JAX.
        strict_codes: choose codes alone; without it an index that is no code becomes the last code, as in LWM.
        runner: what runs the models; None for the usual one.
        threads: threads of the runtime; None for one a processor.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    prompt: str
    out: Path
    frames: int = 1
    cfg_scale: float = 1.0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    own_random: bool = False
    strict_codes: bool = False
    runner: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no picture has."""
        check_types(self)
        if self.frames < 1:
            raise UsageError(f"expected at least 1 frame, found {self.frames}")
        kinds = VIDEOS if self.frames > 1 else IMAGES
        if self.out.suffix.lower() not in kinds:
            what = f"a video of {self.frames} frames" if self.frames > 1 else "a picture"
            raise UsageError(f"expected a name that ends in {' or '.join(kinds)} for {what}, found {self.out}")
        Choosing(temperature=self.temperature, top_k=self.top_k or 0, top_p=self.top_p, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class Painted:
    """What was made.

    Attributes:
        out: the file.
        tokens: of all frames, int64 [frames, tokens of a frame].
        strange: how many of them were no code where a code belongs.
        seconds: of the language model.
        runner: the runtime of the language model.
    """

    out: Path
    tokens: Array
    strange: int
    seconds: float
    runner: str


@by_fields(PaintRequest)
def paint(request: PaintRequest, observer: Observer | None = None) -> Painted:
    """Return the picture or the video that a model makes from a description, and write it.

    Raises:
        ArtifactError: there is no assembled model in the folder.
        RunnerError: the runtime refuses the model.
        UsageError: the model makes no pictures.
    """
    observer = observer or Silent()
    package = open_package(request.model)
    pictures = Pictures(package, request.runner)
    check_writable(request.out.parent)
    observer.phase(f"open {package.language}")
    started = time.perf_counter()
    with Session(package.language, runner=request.runner, threads=request.threads) as session:
        painter = _Painter(package, request, session, pictures, observer)
        tokens = painter.frames()
        runner = session.runner
    seconds = time.perf_counter() - started
    codes, limit = tokens[:, :-1], pictures.count
    observer.phase("decode")
    side = round(codes.shape[1] ** 0.5)
    pixels = pictures.pixels(np.minimum(codes, limit - 1).reshape(-1, side, side))
    with atomic.new_name(request.out) as path:
        if request.frames > 1:
            write_video(path, pixels, package.prompts.frames_a_second)
        else:
            Image.fromarray(pixels[0]).save(path, format=_format(request.out))
    return Painted(out=request.out, tokens=tokens, strange=int((codes >= limit).sum()), seconds=seconds, runner=runner)


class _Painter:
    """Makes the tokens of one request: the first frame as a picture, the others behind it."""

    def __init__(
        self, package: Package, request: PaintRequest, session: Session, pictures: Pictures, observer: Observer
    ) -> None:
        self._package, self._request, self._session, self._observer = package, request, session, observer
        self._tokenizer = Tokenizer(package.tokenizer)
        self._limit = pictures.count if request.strict_codes else 0
        self._draw: Draw | None = None
        if request.own_random:
            if not package.family.draws:
                raise UsageError(f"expected a family whose own draws are known, found {package.family.name}")
            self._draw = load(package.family.draws)(request.seed)

    def frames(self) -> Array:
        """Return tokens int64 [frames, tokens of a frame]."""
        prompts, request = self._package.prompts, self._request
        frame = self._package.family.modes[VISION].every
        first = self._made(prompts.image_words, None, frame, request.top_k or prompts.image_top_k)
        if request.frames == 1:
            return first[None]
        others = self._made(
            prompts.video_words, first, (request.frames - 1) * frame, request.top_k or prompts.video_top_k
        )
        return np.concatenate([first[None], others.reshape(-1, frame)])

    def _made(self, what: str, first: Array | None, count: int, top_k: int) -> Array:
        """Return the tokens behind one prompt, int64 [count]."""
        request, tokenizer = self._request, self._tokenizer
        written = self._package.prompts.picture(tokenizer.encode, what, request.prompt, tokenizer.pad, first)
        prompt = Prompt(ids=written.ids, mask=written.mask, codes=written.codes)
        choosing = Choosing(temperature=request.temperature, top_k=top_k, top_p=request.top_p, seed=request.seed)
        wish = Wish(
            count=count,
            mode=self._package.family.modes[VISION],
            choosing=choosing,
            guidance=request.cfg_scale,
            limit=self._limit,
        )
        draw = self._draw or draw_by_seed(request.seed, 0 if first is None else len(first))
        self._observer.phase(f"{what}: {count} tokens")
        found = []
        for ids in new_tokens(self._session, prompt, wish, draw):
            found.append(int(ids[0]))
            tell_steps(self._observer, "tokens", len(found), count)
        return np.asarray(found, np.int64)


def _format(path: Path) -> str:
    return {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:].upper())
