"""What Prometheus reads: requests by their end, tokens, seconds, the line, and memory."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from lwmport.generation.guesses import Guessed
from lwmport.pipeline.serve.line import Line

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Counters of one server.

    Args:
        line: whose lengths are told.
    """

    def __init__(self, line: Line) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "lwmport_requests",
            "Requests by their end; 499 for those that left.",
            ["path", "status"],
            registry=self._registry,
        )
        self.prompt_tokens = Counter("lwmport_prompt_tokens", "Tokens of prompts.", registry=self._registry)
        self.new_tokens = Counter("lwmport_new_tokens", "Tokens of answers.", registry=self._registry)
        self.guessed = Counter(
            "lwmport_guessed_tokens",
            "Tokens of answers that were guessed, by whether they were right.",
            ["right"],
            registry=self._registry,
        )
        self.pictures = Counter("lwmport_pictures", "Pictures that were made.", registry=self._registry)
        self.seconds = Histogram(
            "lwmport_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        for name, what, read in (
            ("waiting", "Requests that wait for the model.", lambda: line.waiting),
            ("running", "Requests that the model works on.", lambda: line.running),
        ):
            Gauge(f"lwmport_requests_{name}", what, registry=self._registry).set_function(read)

    def answered(self, tokens: int, guessed: Guessed | None) -> None:
        """Count the tokens of an answer, and what became of guesses at them."""
        self.new_tokens.inc(tokens)
        if guessed is not None:
            self.guessed.labels("yes").inc(guessed.accepted)
            self.guessed.labels("no").inc(guessed.proposed - guessed.accepted)

    def text(self) -> bytes:
        """Return all of them in Prometheus's text format."""
        return generate_latest(self._registry)
