"""Serving: a model is opened, an address is bound, and requests are answered until the process is asked to end."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport.errors import UsageError, one_line
from lwmport.extras import check_installed
from lwmport.pipeline.assemble.untouched import open_untouched
from lwmport.pipeline.generate.guessing import DRAFT_TOKENS, Guessing
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.serve.limits import Limits
from lwmport.requests import check_types

GRACE: Final = 5
"""Seconds that requests have to end, when the server is asked to."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted."""

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
"""Names by which a server without a token may be called."""


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """A model to serve.

    Attributes:
        model: a folder that ``assemble`` made.
        host: the address to listen on.
        port: 0 for any that is free.
        token: what each request must bring; it must be there where others than this machine reach the address.
        name: what the model is called in requests; empty for the name of its folder.
        chunk: tokens of a prompt to run at once.
        lookup, draft, draft_tokens: how tokens of an answer are guessed: `Guessing`.
        runner: what runs the language model; None for the usual one.
        threads: threads of the runtime; None for one a processor.
        limits: what a request may ask for.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    name: str = ""
    chunk: int = 512
    lookup: int = 0
    draft: Path | None = None
    draft_tokens: int = DRAFT_TOKENS
    runner: str | None = None
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse types and values that cannot be served."""
        check_types(self)
        if not 0 <= self.port <= 65535:
            raise UsageError(f"expected a port from 0 to 65535, found {self.port}")
        if self.chunk < 1:
            raise UsageError(f"expected a chunk of at least 1 token, found {self.chunk}")
        _ = self.guessing
        if not self.token.isascii() or any(letter.isspace() for letter in self.token):
            raise UsageError("expected a token of ASCII letters without spaces, found others")
        if not self.token and not is_loopback(self.host):
            raise UsageError(
                f"expected a token to listen on {self.host}, which others reach, found none; "
                "name one (LWMPORT_TOKEN or --token), or listen on 127.0.0.1"
            )

    @property
    def guessing(self) -> Guessing:
        """How tokens are guessed."""
        return Guessing(lookup=self.lookup, draft=self.draft, draft_tokens=self.draft_tokens)


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class Server:
    """An opened model at an address that is bound; requests wait until `run` is called.

    Args:
        request: what to serve, and where.
        observer: is told what is opened.

    Attributes:
        url: where it is.

    Raises:
        ArtifactError: there is no assembled model in the folder.
        MissingExtraError: what serves is not installed.
        RunnerError: the runtime refuses the model.
        UsageError: the address cannot be had.
    """

    def __init__(self, request: ServeRequest, observer: Observer | None = None) -> None:
        check_installed("fastapi", "uvicorn", "prometheus_client")
        import uvicorn

        from lwmport.pipeline.serve.app import app_of
        from lwmport.pipeline.serve.door import Rules
        from lwmport.pipeline.serve.engine import Engine

        observer = observer or Silent()
        package = open_untouched(request.model, observer)
        self._socket = _bound(request.host, request.port)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        observer.phase(f"open {package.language}")
        engine = Engine(
            package, request.limits, request.chunk, request.runner, request.threads, guessing=request.guessing
        )
        names = () if request.token else (*LOOPBACK, request.host.casefold())
        rules = Rules(token=request.token, hosts=frozenset(names))
        self.app = app_of(engine, request.name or request.model.resolve().name, request.limits, rules)
        config = uvicorn.Config(
            self.app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer requests until `stop` is called, or the process is asked to end; the model is closed then."""
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def stop(self) -> None:
        """Let `run` end; requests have `GRACE` seconds."""
        self._server.should_exit = True


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: there is no such address here, or another program has it.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise UsageError(f"expected an address that is free at {host}, port {port}, found: {reason}") from error
