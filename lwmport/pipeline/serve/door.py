"""The door of the server: who may come in, a place in the line for who asks for work, and one form for every error.

Without a token the server listens on this machine alone. Then pages of strangers in a browser here could still send
requests: the names by which they reach the server (``Host``) and where they come from (``Origin``) are checked.
"""

import hmac
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lwmport.errors import PortError, said
from lwmport.pipeline.serve.line import Line
from lwmport.pipeline.serve.metrics import Metrics
from lwmport.pipeline.serve.refused import Gone, RefusedError, error_form, headers_of, status_of

PLACE: Final = "lwmport.place"
"""The key of a request's place in its scope."""

LEFT: Final = 499
"""The status that is counted for who left (nginx's word)."""


ENDING: Final = RefusedError("expected a server that goes on, found one that ends", status=503)


def refusal(error: PortError) -> JSONResponse:
    """Return the answer that an error is."""
    return JSONResponse(error_form(error), status_code=status_of(error), headers=headers_of(error))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Who may come in.

    Attributes:
        token: what each request must bring; empty for none.
        hosts: names by which the server may be called; empty for any.
        public: paths that need no token.
    """

    token: str = ""
    hosts: frozenset[str] = frozenset()
    public: frozenset[str] = frozenset()


class Door:
    """What each request passes.

    Args:
        app: what is behind it.
        line: where requests get their places.
        metrics: count them.
        rules: who may come in.
        paths: what is counted by name.
    """

    def __init__(self, app: ASGIApp, *, line: Line, metrics: Metrics, rules: Rules, paths: Collection[str]) -> None:
        self._app, self._line, self._metrics, self._rules, self._paths = app, line, metrics, rules, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), LEFT

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            self._check(scope)
            await self._served(scope, receive, noting)
        except (ClientDisconnect, Gone):
            if self._line.closed and status == LEFT:
                await refusal(ENDING)(scope, receive, noting)
        except PortError as error:
            await refusal(error)(scope, receive, noting)
        except Exception as error:  # the server stays up
            logging.getLogger(__name__).exception("lwmport did not foresee this: please report it")
            if status == LEFT:
                await refusal(PortError(said(error)))(scope, receive, noting)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - started)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        with self._line.place() as place:
            scope[PLACE] = place
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Return if the request may come in.

        Raises:
            RefusedError: it may not.
        """
        headers, rules = Headers(scope=scope), self._rules
        host = headers.get("host", "")
        if rules.hosts and _name(host) not in rules.hosts:
            raise RefusedError(
                f"expected a request to {' or '.join(sorted(rules.hosts))}, found another name",
                status=403,
                param="host",
            )
        origin = headers.get("origin")
        if not rules.token and origin is not None and origin.partition("://")[2] != host:
            raise RefusedError("expected a request of this server's own page, found another page's", status=403)
        if rules.token and scope["path"] not in rules.public and not _has(headers, rules.token):
            raise RefusedError(
                "expected the server's token (Authorization: Bearer TOKEN), found none or another",
                status=401,
                code="invalid_api_key",
            )


def _name(host: str) -> str:
    """Return the name in ``NAME:PORT``."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).strip("[]").casefold()


def _has(headers: Mapping[str, Any], token: str) -> bool:
    kind, _, found = headers.get("authorization", "").partition(" ")
    return kind.casefold() == "bearer" and hmac.compare_digest(found.strip().encode(), token.encode())
