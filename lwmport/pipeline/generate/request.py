"""What is asked of a converted language model."""

from dataclasses import dataclass
from pathlib import Path

from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing, check_guidance
from lwmport.pipeline.assemble import package
from lwmport.pipeline.generate.guessing import DRAFT_TOKENS, Guessing
from lwmport.requests import check_types


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """New tokens behind the tokens of a file.

    Attributes:
        model: a folder that ``convert`` wrote, of a whole language model, or an assembled model's folder, which has it.
        prompt: a .npz of ``input_ids`` [rows, n], and where needed ``attention_mask`` [rows, n], 0 for padding on the
            left, and ``vision_masks`` [rows, n], true where an id is a code.
        out: the .npz of ``tokens``, int64 [rows, new tokens].
        new_tokens: how many.
        mode: a mode of the model's family: which output tokens are chosen from; empty for its usual one.
        cfg_scale: classifier-free guidance of the first half of the rows by the second half; None for none.
        temperature: 0 takes the largest logit.
        top_k: how many of the largest logits stay; 0 for all.
        top_p: the probability that the tokens that stay have together, at least.
        seed: of what is drawn. The same one gives the same tokens on every runner.
        own_random: draw as the model's own scripts draw, which needs JAX.
        stop: ids at which a row is finished, and repeats the id.
        chunk: tokens of the prompt to run at once; None for all.
        lookup: tokens that are guessed at most from what was said before, and checked in one run; 0 for none.
        draft: a folder of ``assemble`` or ``convert`` with a smaller language model of the same vocabulary, which
            guesses tokens; None for none.
        draft_tokens: tokens that it guesses at most.
        runner: what runs it (``lwmport list``), or ``jax`` for the reference; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        checkpoint: the weights that were converted, which ``jax`` needs, unless they were seeded ones.
        ranks: processes that share out the tokens, for a model that was converted in parts; None for those that the
            environment says (``RANK``, ``WORLD_SIZE``), or 1.
        ring_backend: how they send to each other: gloo, nccl or hccl.
        rank_seconds: how long an answer of a rank may take.
        on: what starts them: ``local`` for this process, beside it, or ``ray`` for actors of Ray.
        address: of the cluster of Ray; empty to start Ray on this machine alone.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    prompt: Path
    out: Path
    new_tokens: int
    mode: str = ""
    cfg_scale: float | None = None
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    own_random: bool = False
    stop: tuple[int, ...] = ()
    chunk: int | None = None
    lookup: int = 0
    draft: Path | None = None
    draft_tokens: int = DRAFT_TOKENS
    runner: str | None = None
    threads: int | None = None
    checkpoint: str | None = None
    ranks: int | None = None
    ring_backend: str = "gloo"
    rank_seconds: float = 300.0
    on: str = "local"
    address: str = ""

    def __post_init__(self) -> None:
        """Refuse types and values that no generation has."""
        check_types(self)
        if self.new_tokens < 1:
            raise UsageError(f"expected at least 1 new token, found {self.new_tokens}")
        if self.out.suffix.lower() != ".npz":
            raise UsageError(f"expected a name that ends in .npz for the tokens, found {self.out}")
        _ = self.choosing, self.guessing
        check_guidance(self.cfg_scale)
        if any(token < 0 for token in self.stop):
            raise UsageError(f"expected numbers of tokens as stop, found {min(self.stop)}")
        if (self.model / package.NAME).is_file():
            object.__setattr__(self, "model", self.model / package.LANGUAGE)

    @property
    def guessing(self) -> Guessing:
        """How tokens are guessed."""
        return Guessing(lookup=self.lookup, draft=self.draft, draft_tokens=self.draft_tokens)

    @property
    def choosing(self) -> Choosing:
        """How tokens are chosen."""
        return Choosing(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, seed=self.seed)
