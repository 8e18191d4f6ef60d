"""The routes: OpenAI's for chats, pictures and models, health, metrics, and the page."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse

from lwmport.errors import PortError
from lwmport.pipeline.serve.asked import ChatAsked, PictureAsked, chat_asked, picture_asked
from lwmport.pipeline.serve.door import ENDING, PLACE, Door, Rules, refusal
from lwmport.pipeline.serve.engine import Answer, Engine
from lwmport.pipeline.serve.forms import ChatForms, event, model_form, picture_form
from lwmport.pipeline.serve.job import Job, Work
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.line import Line, Place
from lwmport.pipeline.serve.metrics import Metrics
from lwmport.pipeline.serve.reading import read_body, until_gone
from lwmport.pipeline.serve.refused import Gone, RefusedError, error_form

PAGE: Final = Path(__file__).parent / "page"
FILES: Final = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"),
                "/page.js": ("page.js", "text/javascript")}  # fmt: skip
"""Path -> file of the page and its type."""

CHAT, PICTURES, MODELS = "/v1/chat/completions", "/v1/images/generations", "/v1/models"
HEALTH, METRICS = "/health", "/metrics"

POLICY: Final = "default-src 'self'; img-src 'self' data: blob:; media-src blob: data:; frame-ancestors 'none'"
"""What the page may load: nothing from elsewhere."""


@dataclass(frozen=True, kw_only=True)
class House:
    """What the routes work with."""

    name: str
    engine: Engine
    limits: Limits
    line: Line
    metrics: Metrics


def app_of(engine: Engine, name: str, limits: Limits, rules: Rules) -> FastAPI:
    """Return the server's application; when it ends, its thread ends, and the model is closed.

    Args:
        engine: the opened model.
        name: of the model.
        limits: what a request may ask for.
        rules: who may come in; the page and the health are open to all.
    """
    line = Line(limits.queue, limits.seconds, engine.rest)
    house = House(name=name, engine=engine, limits=limits, line=line, metrics=Metrics(line))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if line.close():
            engine.close()

    app = FastAPI(title="lwmport", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.house = house
    app.add_middleware(
        Door,
        line=line,
        metrics=house.metrics,
        rules=replace(rules, public=frozenset({HEALTH, *FILES})),
        paths={CHAT, PICTURES, MODELS, HEALTH, METRICS, *FILES},
    )
    app.add_exception_handler(HTTPException, _of_starlette)
    _add_facts(app, house)
    app.post(CHAT)(_Chat(house).serve)
    app.post(PICTURES)(_Painting(house).serve)
    for path, (file, kind) in FILES.items():
        app.get(path)(_page((PAGE / file).read_bytes(), kind))
    return app


def _add_facts(app: FastAPI, house: House) -> None:
    created = int(time.time())

    @app.get(HEALTH)
    async def health() -> dict[str, Any]:
        """Return that the server is up, and how long its line is."""
        line = house.line
        return {"status": "ok", "model": house.name, "pictures": house.engine.sees,
                "paints": house.engine.paints, "running": line.running, "waiting": line.waiting}  # fmt: skip

    @app.get(METRICS)
    async def metrics() -> Response:
        """Return what Prometheus reads."""
        return Response(house.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get(MODELS)
    async def models() -> dict[str, Any]:
        """Return the one model."""
        return {"object": "list", "data": [model_form(house.name, created)]}

    @app.get(f"{MODELS}/{{name:path}}")
    async def model(name: str) -> Response:
        """Return the model of a name."""
        if name != house.name:
            return refusal(
                RefusedError(f"expected the model {house.name!r}, found another", status=404, code="model_not_found")
            )
        return JSONResponse(model_form(name, created))


async def _of_starlette(_: Request, error: Exception) -> Response:
    """Return an error of the routes, such as an unknown path, in the form of all errors."""
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    return refusal(RefusedError(f"expected a path and a method of this server, found: {detail}", status=status))


def _page(content: bytes, kind: str) -> Any:
    async def page() -> Response:
        """Return a file of the page."""
        return Response(content, media_type=kind, headers={"Content-Security-Policy": POLICY})

    return page


def _entered(request: Request, work: Work) -> Job:
    """Return the job of a request, which is given up when whoever sent it leaves."""
    place: Place = request.scope[PLACE]
    return place.enter(work, partial(until_gone, request))


class _Chat:
    """``/v1/chat/completions``."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, request: Request) -> Response:
        """Return an answer, whole or as a stream; what is wrong with the request is told before anything streams."""
        house = self._house
        body = await read_body(request, house.limits.upload)
        asked = await asyncio.to_thread(chat_asked, body, house.name, house.limits)
        events = _entered(request, partial(self._work, asked)).events()
        answer = await anext(events)
        if asked.stream:
            stream = self._stream(events, answer, asked)
            return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        text = "".join([piece async for piece in events])
        return JSONResponse(ChatForms(house.name).whole(text, answer))

    def _work(self, asked: ChatAsked, job: Job) -> None:
        """Tell the answer, which is yet empty, then the pieces of its text."""
        answer = self._house.engine.answer(asked, job.check)
        self._house.metrics.prompt_tokens.inc(answer.prompt_tokens)
        job.tell(answer)
        try:
            for piece in answer.pieces():
                if piece:
                    job.tell(piece)
        finally:
            self._house.metrics.answered(answer.tokens, self._house.engine.guessed)

    async def _stream(self, pieces: AsyncIterator[str], answer: Answer, asked: ChatAsked) -> AsyncIterator[str]:
        forms = ChatForms(self._house.name)
        yield event(forms.piece({"role": "assistant", "content": ""}))
        try:
            async for piece in pieces:
                yield event(forms.piece({"content": piece}))
        except (PortError, Gone) as error:
            yield event(error_form(error if isinstance(error, PortError) else ENDING))
            return
        yield event(forms.piece({}, answer.finish))
        if asked.usage:
            yield event(forms.counts(answer))
        yield event("[DONE]")


class _Painting:
    """``/v1/images/generations``."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, request: Request) -> Response:
        """Return a picture."""
        house = self._house
        asked = picture_asked(await read_body(request, house.limits.upload), house.name)
        return JSONResponse(picture_form(await anext(_entered(request, partial(self._work, asked)).events())))

    def _work(self, asked: PictureAsked, job: Job) -> None:
        job.tell(self._house.engine.picture(asked, job.check))
        self._house.metrics.pictures.inc()
