"""Which language model is judged: an assembled model, or a folder of ``convert`` and a tokenizer beside it."""

from dataclasses import dataclass
from pathlib import Path

from lwmport import digest, manifest
from lwmport.errors import UsageError
from lwmport.generation.piece_tokenizer import open_tokenizer
from lwmport.generation.tokenizer import Tokenizer
from lwmport.models.spec import FamilySpec
from lwmport.pipeline.assemble import package
from lwmport.pipeline.assemble.untouched import open_untouched
from lwmport.pipeline.session import Session


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A converted language model.

    Attributes:
        name: of the folder that the user named.
        folder: of its artifacts.
        family: how it goes on.
        tokenizer: the folder of its tokenizer; None where nobody named one.
    """

    name: str
    folder: Path
    family: FamilySpec
    tokenizer: Path | None

    @property
    def told(self) -> str:
        """Its name and the digest of its manifest, which has the digests of its files."""
        return f"{self.name} (manifest {digest.of_file(self.folder / manifest.NAME)[:16]})"

    def open(self, runner: str | None, threads: int | None, checkpoint: str | None) -> Session:
        """Return the model, opened; a checkpoint goes to the runner ``jax`` alone.

        Raises:
            ArtifactError: its manifest tells no phases and states.
            RunnerError: the runtime refuses a file.
            UsageError: an unknown runner.
        """
        return Session(self.folder, runner=runner, threads=threads, checkpoint=checkpoint)

    def texts(self) -> Tokenizer:
        """Return its tokenizer.

        Raises:
            UsageError: there is none.
        """
        if self.tokenizer is None:
            raise UsageError(
                f"expected a tokenizer for the text, found none beside {self.folder}; name its folder by --tokenizer, "
                "or give tokens in a .npz (input_ids)"
            )
        return open_tokenizer(self.tokenizer)


def language_model(folder: Path, tokenizer: Path | None = None) -> LanguageModel:
    """Return the language model in a folder of ``assemble`` or ``convert``; ``tokenizer`` comes before its own.

    Raises:
        ArtifactError: there is none, or its family is of other models.
    """
    if (folder / package.NAME).is_file():
        found = open_untouched(folder)
        return LanguageModel(
            name=folder.resolve().name,
            folder=found.language,
            family=found.family,
            tokenizer=tokenizer or found.tokenizer,
        )
    made = package.language_of(folder)
    return LanguageModel(
        name=folder.resolve().name, folder=folder, family=package.talked_family(made.family), tokenizer=tokenizer
    )
