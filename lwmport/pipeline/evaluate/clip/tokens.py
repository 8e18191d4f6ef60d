"""A text as CLIP's tokens, counted whole before it is cut, and the end of it that is not seen."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.errors import CheckpointError, one_line
from lwmport.instead import in_place_of
from lwmport.pipeline.evaluate.clip.files import tokenizer_files
from lwmport.small_files import read_small

BEGIN: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
WORDS: Final = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""What a text is parted into before pairs are merged. Source: simple_tokenizer.py of OpenAI's CLIP."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A text as the judge reads it: ``ids`` with begin and end, at most its positions; and what it does not read."""

    ids: tuple[int, ...]
    count: int
    unseen_count: int
    unseen: str


class Tokenizer:
    """CLIP's tokenizer for a number of positions, begin and end among them."""

    def __init__(self, folder: Path, positions: int) -> None:
        self._positions = positions
        self._made = _made(tokenizer_files(folder))
        self._made.no_truncation()
        self._made.no_padding()
        ends = self._made.token_to_id(BEGIN), self._made.token_to_id(END)
        if None in ends:
            raise CheckpointError(f"{folder}: expected a tokenizer of CLIP with {BEGIN} and {END}, found another")
        self.begin, self.end = ends

    @property
    def largest(self) -> int:
        """The largest token."""
        return int(max(self._made.get_vocab().values()))

    def __call__(self, text: str) -> Tokens:
        """Return the tokens of a text."""
        found = self._made.encode(text, add_special_tokens=False)
        room = self._positions - 2
        ids = found.ids[:room]
        cut = len(found.ids) > room
        return Tokens(
            ids=(self.begin, *ids, self.end),
            count=len(found.ids),
            unseen_count=max(0, len(found.ids) - room),
            unseen=text[found.offsets[room][0] :] if cut else "",
        )


def _made(files: tuple[Path, ...]) -> Any:
    import tokenizers

    try:
        if len(files) == 1:
            return tokenizers.Tokenizer.from_str(read_small(files[0]).decode())
        return _of_pairs(*files)
    except Exception as error:  # the library raises bare Exception for whatever is wrong with a file
        names = " and ".join(file.name for file in files)
        found = next(filter(None, map(in_place_of, files)), one_line(error))
        raise CheckpointError(f"expected a tokenizer in {names}, found: {found}") from error


def _of_pairs(vocabulary: Path, merges: Path) -> Any:
    """Return the tokenizer of a vocabulary and the pairs that are merged, the first first."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    lines = [line for line in read_small(merges).decode().splitlines() if line and not line.startswith("#version")]
    pairs = [(left, right) for left, right in (line.split(" ") for line in lines)]
    made = Tokenizer(
        models.BPE(
            vocab=json.loads(read_small(vocabulary)),
            merges=pairs,
            end_of_word_suffix="</w>",
            unk_token=END,
        )
    )
    steps = [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return made
