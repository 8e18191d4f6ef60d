"""One sequence by a model that may take only several at once, and the logits that its last token was chosen from."""

from typing import Any

import numpy as np

from lwmport.runtime.session.token_session import TokenSession
from lwmport.types import Array


class Alone:
    """A session of one sequence, as `lwmport.generation.tokens.new_tokens` wants one.

    Args:
        session: an open one. Where it takes several sequences, all of them are this one.

    Attributes:
        seen: the outputs for the last token, by name, float32 [vocabulary] each.
    """

    def __init__(self, session: TokenSession) -> None:
        self._session = session
        self.seen: dict[str, Array] = {}

    def prefill(self, input_ids: Any, attention_mask: Any, vision_masks: Any, chunk: int | None) -> dict[str, Array]:
        """Return the outputs for the last token of a prompt."""
        found = self._session.prefill(
            self._rows(input_ids), self._rows(attention_mask), self._rows(vision_masks), chunk
        )
        return self._first(found)

    def step(self, input_ids: Any, vision_masks: Any, chunk: int | None, *, keep: int | None) -> dict[str, Array]:
        """Return the outputs for the last ``keep`` new tokens."""
        return self._first(self._session.step(self._rows(input_ids), self._rows(vision_masks), chunk, keep=keep))

    def _rows(self, array: Any) -> Any:
        return None if array is None else np.repeat(array, self._session.rows or 1, axis=0)

    def _first(self, found: dict[str, Array]) -> dict[str, Array]:
        self.seen = {name: logits[0, -1] for name, logits in found.items()}
        return {name: logits[:1] for name, logits in found.items()}
