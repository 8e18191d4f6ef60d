"""Small models, and one that was converted and can be judged again: what tests of how weights are stored share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport.manifest import ComponentEntry
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Status

LLAMA = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "max_sequence_length": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 512,
}
GROUPED = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 256,
}
"""A language model whose queries share heads."""

VQGAN = {
    "resolution": 16,
    "hidden_channels": 32,
    "channel_mult": [1],
    "num_res_blocks": 1,
    "z_channels": 8,
    "num_embeddings": 64,
    "quantized_embed_dim": 8,
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a conversion wrote, and what the reference makes of one of its components."""

    folder: Path
    outcome: Any
    run: ReferenceRun

    @property
    def part(self) -> ComponentEntry:
        name = self.run.component.name
        return next(part for part in self.outcome.manifest.components if part.name == name)

    @property
    def path(self) -> Path:
        return self.folder / self.part.path

    def judged(self, path: Path) -> Status:
        """Return the verdict on a file in the place of the component's own."""
        return judge(path, self.part.signature, self.run).validation.status


def reopened_run(folder: Path, component: str) -> ReferenceRun:
    """Return the reference's run of a component of a folder, opened again: its weights are as they are stored."""
    found = reopen(folder)
    return gather(found.component(component), found.component_weights(component), 1)
