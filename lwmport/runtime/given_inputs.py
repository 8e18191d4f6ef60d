"""Inputs that a user gives (``--inputs``): a .npz, a .jsonl or a folder of pictures, made into runs of a model.

Several samples in a .npz: an array is one sample where its shape is the input's, and all samples where it has one axis
more in front, ``[samples, ...]``, or where its first axis is a multiple of the input's fixed one. An input that is
there once is the same in every sample. A .jsonl has a sample on each line, ``{"INPUT": values}``; the axis of the batch
may be left out. Pictures are prepared as the model's family says, in the order of their names.

Nothing in the files is executed, and none of them makes more memory than it may.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lwmport.errors import UsageError
from lwmport.runtime.given.arrays import read_arrays, rows_of
from lwmport.runtime.given.fitting import check_sizes
from lwmport.runtime.given.lines import lines_of, value_of
from lwmport.runtime.given.pictures import pictures_in, runs_of
from lwmport.runtime.given.text import TEXT, tokens_of
from lwmport.runtime.given.wanted import Sample, Wanted


class GivenInputs:
    """The file or the folder of ``--inputs``, read once.

    Raises:
        UsageError: it is none of the three kinds, or damaged, or larger than it may be.
    """

    def __init__(self, path: Path, tokenizer: Path | None = None) -> None:
        """Read a file, or the names in a folder; ``tokenizer`` is the folder or the file that the weights come from."""
        self.path = path
        self._tokenizer = tokenizer
        self._pictures: list[Path] = []
        self._arrays: dict[str, Any] = {}
        self._lines: list[dict[str, Any]] = []
        if path.is_dir():
            self._pictures = pictures_in(path)
        elif path.suffix.lower() == ".npz":
            self._arrays = read_arrays(path)
        elif path.suffix.lower() == ".jsonl":
            self._lines = lines_of(path)
        else:
            found = path if path.exists() else f"nothing at {path}"
            raise UsageError(f"expected a .npz, a .jsonl or a folder of pictures as --inputs, found {found}")

    @property
    def source(self) -> str:
        """The name of the file or the folder, without where it lies."""
        return self.path.resolve().name

    def words(self, count: int) -> str:
        """Return what ``count`` runs are made of, in a few words."""
        if self._pictures:
            number = min(len(self._pictures), count)
            return f"{number} picture{'' if number == 1 else 's'} of {self.source}"
        return f"{count} sample{'' if count == 1 else 's'} of {self.source}"

    def names(self) -> frozenset[str]:
        """Return the inputs that are there; none for pictures."""
        return frozenset(self._arrays) | frozenset(name for line in self._lines for name in line)

    @property
    def shows(self) -> bool:
        """Whether they are pictures."""
        return bool(self._pictures)

    def samples(self, wanted: Wanted, count: int | None = None) -> tuple[Sample, ...]:
        """Return the runs of a model: all of them, or the first ``count``.

        Raises:
            UsageError: an input is missing, unknown, or of another dtype or shape; an index lies outside of what it
                looks into; there are fewer samples than are asked for.
        """
        if self._pictures:
            found = runs_of(self._pictures, wanted, self.path, count)
        elif self._arrays:
            found = self._of_arrays(wanted)
        else:
            found = [self._of_line(number, line, wanted) for number, line in enumerate(self._lines, start=1)]
        if count is not None and len(found) < count:
            raise UsageError(f"expected at least {count} samples in {self.path} (--samples), found {len(found)}")
        return tuple(found[:count])

    def _of_arrays(self, wanted: Wanted) -> list[Sample]:
        self._check_names(frozenset(self._arrays), wanted, "")
        specs = [spec for spec in wanted.specs if spec.name in self._arrays]
        rows = {spec.name: rows_of(self._arrays[spec.name], spec, str(self.path)) for spec in specs}
        counts = {name: len(found) for name, found in rows.items() if len(found) > 1}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{number} of {name}" for name, number in counts.items())
            raise UsageError(f"{self.path}: expected as many samples of each input, found {told}")
        number = max([1, *counts.values()])
        made = [{name: found[item if len(found) > 1 else 0] for name, found in rows.items()} for item in range(number)]
        for item, inputs in enumerate(made):
            check_sizes(specs, inputs, f"{self.path}{f', sample {item}' if number > 1 else ''}")
        return [Sample(inputs=inputs) for inputs in made]

    def _of_line(self, number: int, line: Mapping[str, Any], wanted: Wanted) -> Sample:
        where = f"{self.path}, line {number}"
        if TEXT in line and TEXT not in {spec.name for spec in wanted.specs}:
            line = self._with_tokens(line, wanted, where)
        self._check_names(frozenset(line), wanted, f", line {number}")
        specs = [spec for spec in wanted.specs if spec.name in line]
        inputs = {spec.name: value_of(line[spec.name], spec, where) for spec in specs}
        check_sizes(specs, inputs, where)
        return Sample(inputs=inputs)

    def _with_tokens(self, line: Mapping[str, Any], wanted: Wanted, where: str) -> dict[str, Any]:
        """Return a line with the tokens of its text."""
        if not wanted.tokens:
            names = ", ".join(spec.name for spec in wanted.specs)
            raise UsageError(f"{where}: expected the inputs {names}, found a text, which this model does not read")
        if wanted.tokens in line:
            raise UsageError(f"{where}: expected a text or {wanted.tokens}, found both")
        text = line[TEXT]
        if not isinstance(text, str) or not text:
            raise UsageError(f"{where}: expected some text, found {text!r}"[:300])
        rest = {name: value for name, value in line.items() if name != TEXT}
        return {**rest, wanted.tokens: tokens_of(text, self._tokenizer, wanted.tokens, where)}

    def _check_names(self, found: frozenset[str], wanted: Wanted, where: str) -> None:
        names = [spec.name for spec in wanted.specs]
        missing = [name for name in names if name not in found and name not in wanted.open]
        extra = sorted(found - set(names) - wanted.others)
        if missing or extra:
            needed = [name for name in names if name not in wanted.open]
            shown = _listed(sorted(found))
            raise UsageError(f"{self.path}{where}: expected the inputs {_listed(needed)}, found {shown}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 6 else ""
    return ", ".join(ascii(name)[1:-1] for name in (names[:5] if more else names)) + more or "none"
