"""Pictures of two folders: paired by name, PSNR and SSIM of each pair, and on request CLIP's word on both."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.evaluate.captions.answers import read_answers
from lwmport.pipeline.evaluate.captions.pictures import answers_by_picture, pictures_in
from lwmport.pipeline.evaluate.captions.run import judge_of
from lwmport.pipeline.evaluate.clip.pixels import opened, thumbnail
from lwmport.pipeline.evaluate.command import command
from lwmport.pipeline.evaluate.images.request import LikenessRequest
from lwmport.pipeline.observer import Observer, Silent, tell_steps
from lwmport.pipeline.output_checks import check_writable
from lwmport.reports import numbers
from lwmport.reports.evaluations.likeness import SHOWN, Likeness, Pair, check_ours, write
from lwmport.requests import by_fields
from lwmport.types import Array
from lwmport.validators.accuracy import picture_accuracy
from lwmport.wording import few, shown

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
BYTES: Final = (0.0, 255.0)

Both = tuple[Path, Path]


@by_fields(LikenessRequest)
def likeness(request: LikenessRequest, observer: Observer | None = None) -> Likeness:
    """Return how alike the pictures of two folders are, and how well they fit their texts.

    Raises:
        ArtifactError: a file is no picture, a pair has two sizes, or nothing is in both folders.
        CheckpointError: the judge is no CLIP model.
        MissingExtraError: the judge needs what is not installed.
        UsageError: no folder, two pictures of one name, or files at ``out`` that are not of such a comparison.
    """
    observer = observer or Silent()
    if request.out is not None:
        check_writable(request.out)
        check_ours(request.out)
    a, b = _by_name(request.a), _by_name(request.b)
    names = sorted(a.keys() & b.keys())
    if not names:
        raise ArtifactError(f"expected pictures of the same names in {request.a} and {request.b}, found none")
    both = {a[name].as_posix(): (request.a / a[name], request.b / b[name]) for name in names}
    observer.phase(f"{len(both)} pictures of both folders")
    pairs = []
    for number, (name, paths) in enumerate(both.items(), start=1):
        pairs.append(_pair(name, paths))
        tell_steps(observer, "pictures", number, len(both))
    if request.judge is not None and request.texts is not None:
        pairs = _judged(request.judge, _texts(request.texts, request.a), pairs, both, observer)
    pairs.sort(key=lambda pair: (pair.psnr_db, pair.name))
    alone = [a[name] for name in a.keys() - b.keys()], [b[name] for name in b.keys() - a.keys()]
    found = _record(request, pairs, alone)
    if request.out is not None:
        write(found, {pair.name: _small(both[pair.name]) for pair in found.pairs[:SHOWN]}, request.out)
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the pictures below a folder, relative to it, by their paths without the kind of file."""
    found: dict[str, Path] = {}
    for paths in pictures_in(folder).values():
        for path in map(Path, paths):
            if path.suffix.lower() not in SUFFIXES:
                continue
            name = path.with_suffix("").as_posix()
            if name in found:
                names = f"{shown(found[name].name)} and {shown(path.name)}"
                raise UsageError(f"expected one picture {shown(name)!r} in {folder}, found {names}")
            found[name] = path
    return found


def _pair(name: str, paths: Both) -> Pair:
    a, b = map(_pixels, paths)
    if a.shape != b.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (a, b)]
        raise ArtifactError(f"expected one size of {shown(name)!r} in both folders, found {sizes[0]} and {sizes[1]}")
    metrics = picture_accuracy(a, b, BYTES)
    return Pair(name=name, height=a.shape[0], width=a.shape[1], psnr_db=metrics.psnr_db[0], ssim=metrics.ssim[0])


def _pixels(path: Path) -> Array:
    """Return a picture's bytes, float32 [height, width, 3]."""
    return np.asarray(opened(path), np.float32)


def _small(paths: Both) -> tuple[bytes, bytes]:
    return bytes(thumbnail(opened(paths[0]))), bytes(thumbnail(opened(paths[1])))


def _texts(path: Path, folder: Path) -> dict[str, str]:
    return answers_by_picture(read_answers(path), pictures_in(folder), folder)


def _judged(
    judge: Path, texts: Mapping[str, str], pairs: Sequence[Pair], both: Mapping[str, Both], observer: Observer
) -> list[Pair]:
    """Return the pairs with the cosines of their pictures and their text."""
    missing = [pair.name for pair in pairs if pair.name not in texts]
    if missing:
        names = few(map(shown, missing))
        raise ArtifactError(f"expected a text for every picture of both folders, found none for {names}")
    observer.phase("open the judge")
    _, started = judge_of(judge)
    found = []
    with closing(started) as server:
        for number, pair in enumerate(pairs, start=1):
            text = texts[pair.name]
            cosines = [
                server.ask(picture=path.absolute(), texts=[text], small=False)["numbers"][0]["cosine"]
                for path in both[pair.name]
            ]
            found.append(dataclasses.replace(pair, text=text, cosine_a=cosines[0], cosine_b=cosines[1]))
            tell_steps(observer, "pictures", number, len(pairs))
    return found


def _record(request: LikenessRequest, pairs: Sequence[Pair], only: tuple[list[Path], list[Path]]) -> Likeness:
    apart = [pair.psnr_db for pair in pairs if math.isfinite(pair.psnr_db)]
    ssim = [pair.ssim for pair in pairs if pair.ssim is not None]
    clip = [[getattr(pair, side) for pair in pairs] for side in ("cosine_a", "cosine_b")] if request.judge else [[], []]
    found = Likeness(
        sentence="",
        a=request.a.resolve().name,
        b=request.b.resolve().name,
        equal=len(pairs) - len(apart),
        mean_psnr_db=_mean(apart),
        worst_psnr_db=min(pair.psnr_db for pair in pairs),
        mean_ssim=_mean(ssim),
        worst_ssim=min(ssim, default=None),
        clip_a=_mean(clip[0]),
        clip_b=_mean(clip[1]),
        only_a=tuple(sorted(path.as_posix() for path in only[0])),
        only_b=tuple(sorted(path.as_posix() for path in only[1])),
        facts=_facts(request),
        pairs=tuple(pairs),
    )
    return dataclasses.replace(found, sentence=_sentence(found))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _sentence(found: Likeness) -> str:
    count = len(found.pairs)
    parts = [f"{found.equal} of {count} pictures are equal"]
    if found.mean_psnr_db is not None:
        others = "the others have" if found.equal else "they have"
        mean, worst = numbers.decibels(found.mean_psnr_db), numbers.decibels(found.worst_psnr_db)
        parts.append(f"{others} a PSNR of {mean} in the mean, {worst} at worst")
    if found.mean_ssim is not None and found.worst_ssim is not None:
        parts.append(f"SSIM {found.mean_ssim:.4f} in the mean, {found.worst_ssim:.4f} at worst")
    if found.clip_a is not None and found.clip_b is not None:
        parts.append(f"mean cosine with the texts {found.clip_a:.4f} in A, {found.clip_b:.4f} in B")
    return "; ".join(parts)


def _facts(request: LikenessRequest) -> dict[str, str]:
    facts = {
        "command": command("lwmport eval images", request, "a", "b"),
        "PSNR": "of the bytes of red, green and blue together, peak 255; the mean is over pictures that differ",
        "SSIM": "Wang et al. 2004: Gaussian window of 11 pixels, sigma 1.5, mean over the colours",
    }
    if request.judge is not None:
        facts["CLIP"] = f"{request.judge.resolve().name}: cosine of picture and text, not multiplied and not clipped"
    return facts
