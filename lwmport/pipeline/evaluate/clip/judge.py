"""CLIP in a process of its own: the cosine of a picture and each of some texts, in float32.

The model is transformers' ``CLIPModel``, built without memory and filled a tensor at a time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.errors import CheckpointError, one_line
from lwmport.pipeline.evaluate.clip.files import JudgeFiles, open_judge
from lwmport.pipeline.evaluate.clip.pixels import opened, thumbnail
from lwmport.pipeline.evaluate.clip.tokens import Tokenizer
from lwmport.types import Array
from lwmport.wording import few, shown


def judge(folder: Path) -> Callable[..., dict[str, Any]]:
    """Return what answers questions of `lwmport.child.Server`.

    A question is the path of a ``picture``, ``texts``, and whether a ``small`` picture is wanted instead of numbers. An
    answer has the ``numbers`` of each text (``cosine``, ``tokens``, ``unseen_tokens``, ``unseen``); or the JPEG file
    ``small``.

    Raises:
        CheckpointError: the folder holds no CLIP model, or its parts do not fit each other.
    """
    files = open_judge(folder)
    model, positions, left_over = _model(files)
    tokenizer = Tokenizer(folder, positions)
    if tokenizer.largest >= model.text_model.embeddings.token_embedding.num_embeddings:
        raise CheckpointError(f"{folder}: expected a tokenizer of this model, found tokens beyond its vocabulary")
    model.text_model.eos_token_id = tokenizer.end

    def answer(picture: Path, texts: list[str], *, small: bool) -> dict[str, Any]:
        image = opened(picture)
        if small:
            return {"small": thumbnail(image)}
        found = [tokenizer(text) for text in texts]
        cosines = _cosines(model, files.pixels.of(image), [tokens.ids for tokens in found])
        numbers = [
            {"cosine": cosine, "tokens": text.count, "unseen_tokens": text.unseen_count, "unseen": text.unseen}
            for cosine, text in zip(cosines, found, strict=True)
        ]
        return {"numbers": numbers, "left_over": left_over}

    return answer


def _model(files: JudgeFiles) -> tuple[Any, int, str]:
    """Return the model, its positions, and which tensors of the files it has no use for."""
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with torch.device("meta"):
            model: Any = CLIPModel(CLIPConfig(**files.config))
    except Exception as error:  # a library's own checks of sizes have many types
        raise CheckpointError(f"{files.checkpoint.path}: expected a CLIP model, found: {one_line(error)}") from error
    wanted = model.state_dict()
    others = files.check_names({name: tuple(tensor.shape) for name, tensor in wanted.items()})
    model.to_empty(device="cpu")
    model.float().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(torch.from_numpy(np.array(files.read(name), np.float32)))
        for module in (model.text_model.embeddings, model.vision_model.embeddings):
            module.position_ids.copy_(torch.arange(module.position_ids.shape[-1])[None])
    positions = model.text_model.embeddings.position_embedding.num_embeddings
    return model, positions, f"{len(others)} tensors, {few(map(shown, others))}" if others else ""


def _cosines(model: Any, pixels: Array, texts: list[tuple[int, ...]]) -> list[float]:
    """Return the cosine of a picture and each text; each is run alone, so that nothing is padded."""
    import torch

    with torch.inference_mode():
        seen = model.visual_projection(model.vision_model(pixel_values=torch.from_numpy(pixels.copy())).pooler_output)
        read = [model.text_projection(model.text_model(torch.tensor([ids])).pooler_output) for ids in texts]
        found = torch.nn.functional.cosine_similarity(seen, torch.cat(read)) if read else torch.empty(0)
    return [float(value) for value in found]
