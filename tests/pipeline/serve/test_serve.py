"""What the server answers and refuses, by its routes alone: nothing listens."""

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lwmport.errors import PortError, UsageError
from lwmport.generation.choosing import Choosing
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.assemble.run import assemble
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.run import Server, ServeRequest
from lwmport.pipeline.talk.painter import Painter, Painting
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.talk import Talk

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'lwmport[serve]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'lwmport[serve]'")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed: pip install 'lwmport[serve]'")
pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")

EVERY = "0.0.0.0"  # noqa: S104 - what is refused without a token
TOKEN = "secret"  # noqa: S105 - of a test
CHAT, PICTURE = "/v1/chat/completions", "/v1/images/generations"
SMALL = Limits(upload=1 << 20, pixels=100_000, frames=2, tokens=16, queue=2)


def client_of(model: Path, **fields: Any) -> Any:
    from fastapi.testclient import TestClient

    server = Server(ServeRequest(model=model, port=0, **fields))
    server._socket.close()
    return TestClient(server.app, base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[Any]:
    with client_of(model, limits=SMALL) as client:
        yield client


def url_of(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def png(size: tuple[int, int] = (60, 40)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def user(*parts: Any) -> dict[str, Any]:
    """Return a message of the user; a text is a text, a pair is a kind of part and its URL."""
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": part[0], part[0]: {"url": part[1]}}
        for part in parts
    ]
    return {"role": "user", "content": content}


def ask(client: Any, *messages: Any, **fields: Any) -> Any:
    body = {"messages": list(messages) or [user("What?")], "temperature": 0, "max_tokens": 4, **fields}
    return client.post(CHAT, json=body)


def error(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert "\n" not in found["message"]
    return found


def events(answer: Any) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    *texts, end = answer.text.strip().split("\n\n")
    assert end == "data: [DONE]"
    return [json.loads(text.removeprefix("data: ")) for text in texts]


def test_an_answer_is_that_of_a_talk(client: Any, model: Path) -> None:
    package = open_package(model)
    picture = Image.open(io.BytesIO(png())).convert("RGB")
    frames = Pictures(package).codes([picture])
    with Talk(package) as talk:
        text = "".join(talk.ask("What?", frames, choosing=Choosing(), most=6))
        drawn = Choosing(temperature=0.9, top_k=40, top_p=0.9, seed=7)
        talk.session.reset()
        other = "".join(talk.ask("What?", frames, choosing=drawn, most=6))
        assert talk.answered is not None
        count = talk.answered.prompt_tokens
    asked = user("What?", ("image_url", url_of(png())))
    found = ask(client, asked, max_tokens=6).json()
    assert found["choices"][0]["message"] == {"role": "assistant", "content": text, "refusal": None}
    assert found["usage"] == {"prompt_tokens": count, "completion_tokens": 6, "total_tokens": count + 6}
    assert found["choices"][0]["finish_reason"] == "length"
    choosing = {"temperature": 0.9, "top_k": 40, "top_p": 0.9, "seed": 7}
    assert (
        ask(client, asked, max_completion_tokens=6, max_tokens=None, **choosing).json()["choices"][0]["message"][
            "content"
        ]
        == other
    )


def test_a_draft_changes_no_answer_and_is_counted(client: Any, model: Path) -> None:
    asked = {"max_tokens": 6, "temperature": 0.8, "seed": 3}
    whole = [ask(client, user(word), **asked).json()["choices"] for word in ("One?", "Two?")]
    with client_of(model, draft=model, limits=SMALL) as drafting:
        assert [ask(drafting, user(word), **asked).json()["choices"] for word in ("One?", "Two?")] == whole
        told = drafting.get("/metrics").text
    assert 'lwmport_guessed_tokens_total{right="yes"} 8.0' in told
    assert 'lwmport_guessed_tokens_total{right="no"} 0.0' in told


def test_a_stream_has_the_same_text(client: Any) -> None:
    whole = ask(client).json()
    pieces = events(ask(client, stream=True, stream_options={"include_usage": True}))
    assert (
        "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces[:-1])
        == (whole["choices"][0]["message"]["content"])
    )
    assert pieces[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [piece["choices"][0]["finish_reason"] for piece in pieces[:-1]] == [None] * (len(pieces) - 2) + ["length"]
    assert pieces[-1]["usage"] == whole["usage"]
    assert len({piece["id"] for piece in pieces}) == 1


def test_a_conversation_is_what_a_talk_holds(client: Any, model: Path) -> None:
    """The prompt is the first question, the answer's text, its end, and the further question."""
    package = open_package(model)
    system = {"role": "system", "content": "Be kind."}
    answer = ask(client, system, user("One?"), {"role": "assistant", "content": "Yes."}, user("Two?")).json()
    with Talk(package) as talk:
        first = package.prompts.text(talk.tokenizer.encode, "Be kind.\nOne?").ids
        said = np.asarray([talk.tokenizer.encode("Yes.", begins=False)])
        later = package.prompts.later(talk.tokenizer.encode, "Two?", talk.tokenizer.end).ids
        ids = np.concatenate([first, said, later], axis=1)
        logits = talk.session.prefill(ids, vision_masks=np.zeros(ids.shape, bool))["text_logits"]
        expected = []
        for _ in range(4):
            expected.append(int(logits[0, -1].argmax()))
            logits = talk.session.step([[expected[-1]]], np.asarray([[False]]))["text_logits"]
        assert answer["choices"][0]["message"]["content"] == talk.tokenizer.decode(expected)
    assert answer["usage"]["prompt_tokens"] == ids.shape[1]


def test_an_answer_ends_at_a_text(client: Any) -> None:
    whole = ask(client, max_tokens=12).json()["choices"][0]["message"]["content"]
    stop = whole[2:4]
    found = ask(client, max_tokens=12, stop=[stop, "never"]).json()["choices"][0]
    assert found["message"]["content"] == whole[: whole.find(stop)]
    assert found["finish_reason"] == "stop"


def test_a_picture_is_that_of_the_painter(client: Any, model: Path) -> None:
    package = open_package(model)
    with Talk(package) as talk:
        painting = Painting(prompt="a cat", cfg_scale=2.0, seed=3, strict_codes=True)
        from lwmport.pipeline.observer import Silent

        painter = Painter(package, painting, talk.session, Pictures(package), Silent())
        expected = painter.pixels(painter.frames())[0]
    body = {"prompt": "a cat", "cfg_scale": 2, "seed": 3, "strict_codes": True, "size": "32x32", "model": "model"}
    answer = client.post(PICTURE, json=body)
    assert answer.status_code == 200, answer.text
    data = base64.b64decode(answer.json()["data"][0]["b64_json"])
    assert (np.asarray(Image.open(io.BytesIO(data))) == expected).all()


def test_a_video_is_seen(client: Any, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    from lwmport.generation.video import write_video

    write_video(tmp_path / "v.mp4", np.zeros((5, 32, 48, 3), np.uint8), 4)
    video = ("video_url", url_of((tmp_path / "v.mp4").read_bytes(), "video/mp4"))
    counts = [ask(client, user("What?", *parts)).json()["usage"]["prompt_tokens"]
              for parts in ([video], [("image_url", url_of(png()))])]  # fmt: skip
    assert counts[0] - counts[1] == 257, "two frames, as the server allows"
    assert error(ask(client, user("What?", video, video)), 400)["message"].startswith(
        "expected at most 2 pictures and frames of videos together (--max-frames), found 4"
    )


def health(client: Any) -> Any:
    """Return what the server says of itself when no request runs: one ends a moment after its answer."""
    while client.get("/health").json()["running"]:
        time.sleep(0.01)
    return client.get("/health").json()


def test_facts_are_told(client: Any) -> None:
    assert health(client) == {
        "status": "ok", "model": "model", "pictures": True, "paints": True, "running": 0,
        "waiting": 0,
    }  # fmt: skip
    (model,) = client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"]) == ("model", "model")
    assert client.get("/v1/models/model").json() == model
    assert error(client.get("/v1/models/other"), 404)["code"] == "model_not_found"
    ask(client)
    health(client)
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    numbers = dict(line.rsplit(" ", 1) for line in metrics.text.splitlines() if not line.startswith("#"))
    assert float(numbers['lwmport_requests_total{path="/v1/chat/completions",status="200"}']) >= 1
    assert float(numbers["lwmport_new_tokens_total"]) >= 4
    assert float(numbers["lwmport_requests_running"]) == 0


def test_the_page_is_served_with_its_files(client: Any) -> None:
    page = client.get("/")
    assert "<script src=" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        assert f'"{name}"' in page.text
        assert client.get(f"/{name}").status_code == 200
    assert error(client.get("/page.py"), 404)["message"].endswith("found: Not Found")
    assert error(client.get(CHAT), 405)


PLAYLIST = b"ffconcat version 1.0\nfile 'v.mp4'\n"
WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "a text as a picture": ({"messages": [user("Q", ("image_url", url_of(b"no picture")))]}, 400,
                            "expected a picture (BMP, JPEG, PNG, WEBP), found: another kind of file"),
    "a video of 0 bytes": ({"messages": [user("Q", ("video_url", "data:video/mp4;base64,"))]}, 400,
                           "expected a file in messages[0].content[1].video_url.url, found 0 bytes"),
    "a text as a video": ({"messages": [user("Q", ("video_url", url_of(b"no video")))]}, 400,
                          "expected a video in the 8 bytes that were sent, found"),
    "a list of files as a video": ({"messages": [user("Q", ("video_url", url_of(PLAYLIST)))]}, 400,
                                   "expected a video in the"),
    "a large picture": ({"messages": [user("Q", ("image_url", url_of(png((400, 300)))))]}, 400,
                        "expected a picture of at most 100,000 pixels, found 400 x 300"),
    "a file of the server's": ({"messages": [user("Q", ("image_url", "file:///etc/passwd"))]}, 400,
                               "found file:///etc/passwd; this server fetches nothing and reads no files"),
    "a path": ({"messages": [user("Q", ("video_url", "/etc/passwd"))]}, 400, "this server fetches nothing"),
    "a web address": ({"messages": [user("Q", ("image_url", "https://example.org/a.png"))]}, 400,
                      "this server fetches nothing"),
    "no base64": ({"messages": [user("Q", ("image_url", "data:image/png;base64,$$"))]}, 400, "expected base64 in"),
    "percent signs": ({"messages": [user("Q", ("image_url", "data:image/png,%00"))]}, 400, "data:TYPE;base64,..."),
    "too many pictures": ({"messages": [user("Q", *[("image_url", url_of(png()))] * 3)]}, 400,
                          "expected at most 2 pictures and frames of videos together (--max-frames), found 3"),
    "a later picture": ({"messages": [user("Q"), {"role": "assistant", "content": "A"},
                                      user("Q", ("image_url", url_of(png())))]}, 400,
                        "expected pictures and videos in the first message of the user alone"),
    "a long prompt": ({"messages": [user("word " * 300)]}, 400,
                      "expected at most 1,200 tokens of prompt and answer together, as the model has, found a"),
    "a very long prompt": ({"messages": [user("w" * 100_000)]}, 400, "found a prompt of 100,000 characters"),
    "two users": ({"messages": [user("Q"), user("Q")]}, 400, "expected a message of the assistant as messages[1]"),
    "no user": ({"messages": [{"role": "system", "content": "x"}]}, 400, "expected a message of the user at the end"),
    "no messages": ({"messages": []}, 400, "expected a list of messages, found"),
    "a tool's message": ({"messages": [{"role": "tool", "content": "x"}]}, 400, "the role system, user or assistant"),
    "sound": ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, 400, "found input_audio"),
    "half a character": ({"messages": [{"role": "user", "content": "\ud800"}]}, 400, "whole characters"),
    "tools": ({"tools": [{"type": "function"}]}, 400, "expected no tools, for nothing else is supported here"),
    "two answers": ({"n": 2}, 400, "expected 1 as n, for nothing else is supported here, found 2"),
    "probabilities": ({"logprobs": True}, 400, "expected false as logprobs"),
    "an unknown field": ({"beams": 4}, 400, "found beams, not supported here"),
    "too many tokens": ({"max_tokens": 17}, 400, "max_tokens as a whole number of at least 1 and at most 16, found 17"),
    "a cold temperature": ({"temperature": -1}, 400, "expected a temperature of 0 or more, found -1"),
    "a word as a number": ({"temperature": "hot"}, 400, "expected a number as temperature, found"),
    "a large seed": ({"seed": 2**63}, 400, "expected seed as a whole number"),
    "many stops": ({"stop": ["a"] * 5}, 400, "at most 4 texts as stop"),
    "another model": ({"model": "gpt"}, 404, "expected the model 'model', found gpt"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_one_line(client: Any, case: str) -> None:
    fields, status, said = WRONG[case]
    found = error(client.post(CHAT, content=json.dumps({"messages": [user("Q")], **fields})), status)
    assert said in found["message"]
    assert found["type"] == "invalid_request_error"
    assert ask(client, stream=True).status_code == 200, "the server stays up"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": ""}, "expected a description as prompt, found none"),
        ({"size": "1024x1024"}, "expected the size 32x32, which the model makes, found 1024x1024"),
        ({"response_format": "url"}, "expected b64_json as response_format"),
        ({"n": 3}, "expected 1 as n"),
        ({"prompt": "w" * 100_000}, "found a prompt of 100,000 characters"),
        ({"top_p": 0}, "expected top-p above 0"),
    ],
)
def test_a_picture_that_cannot_be_is_one_line(client: Any, fields: dict[str, Any], said: str) -> None:
    assert said in error(client.post(PICTURE, json={"prompt": "a cat", **fields}), 400)["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"n": NaN}', b"[" * 100_000, b"\xff"])
def test_what_is_no_object_is_one_line(client: Any, body: bytes) -> None:
    assert error(client.post(CHAT, content=body), 400)["message"].startswith("expected ")


def test_a_large_upload_is_refused_and_dropped(client: Any) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * (1 << 19)

    for content in (b" " * ((1 << 20) + 1), parts()):
        found = error(client.post(CHAT, content=content), 413)
        assert found["message"] == "expected at most 1,048,576 bytes (--max-upload), found more"
    assert client.app.state.house.line.taken == 0


def test_time_that_is_up_is_one_line(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app.state.house.line, "_seconds", -1)
    found = error(ask(client), 504)
    assert found["code"] == "time_limit"
    assert "as this server allows (--max-seconds)" in found["message"]
    monkeypatch.undo()
    assert ask(client).status_code == 200


def test_time_that_ends_within_a_stream_is_told_in_it(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lwmport.pipeline.serve.engine import Answer

    pieces = Answer.pieces

    def slowly(answer: Answer) -> Iterator[str]:
        for piece in pieces(answer):
            yield piece
            time.sleep(0.6)

    monkeypatch.setattr(Answer, "pieces", slowly)
    monkeypatch.setattr(client.app.state.house.line, "_seconds", 0.5)
    answer = ask(client, stream=True)
    assert answer.status_code == 200
    last = json.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "time_limit"


def test_a_fault_of_ours_is_one_line_and_the_server_stays_up(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("division by zero\nsomewhere")

    monkeypatch.setattr(client.app.state.house.engine, "answer", fails)
    found = error(ask(client), 500)
    assert found["message"].startswith("ZeroDivisionError: division by zero somewhere; lwmport did not foresee this")
    assert found["type"] == "server_error"
    monkeypatch.setattr(client.app.state.house.engine, "answer", lambda *_: (_ for _ in ()).throw(MemoryError()))
    assert error(ask(client), 503)["code"] == "out_of_memory"
    monkeypatch.undo()
    assert ask(client).status_code == 200


def test_nothing_is_held_between_requests(client: Any) -> None:
    ask(client)
    session = client.app.state.house.engine.session
    until = time.monotonic() + 5
    while session.length and time.monotonic() < until:
        time.sleep(0.01)
    assert session.length == 0


def test_a_token_is_needed_where_there_is_one(model: Path) -> None:
    with client_of(model, token=TOKEN, host=EVERY) as client:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = client.get("/v1/models", headers=headers)
            assert error(answer, 401)["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/metrics").status_code == 401
        proxied = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://chat.example"}
        assert client.get("/v1/models", headers=proxied).status_code == 200
        assert client.get("/").status_code == client.get("/health").status_code == 200


def test_pages_of_others_are_kept_out(client: Any) -> None:
    assert "another name" in error(client.get("/health", headers={"Host": "evil.example:80"}), 403)["message"]
    found = error(client.post(CHAT, json={}, headers={"Origin": "http://evil.example"}), 403)
    assert found["message"] == "expected a request of this server's own page, found another page's"
    assert client.get("/health", headers={"Origin": "http://127.0.0.1"}).status_code == 200
    assert client.get("/health", headers={"Host": "[::1]:8000"}).status_code == 200


def test_a_model_of_text_alone_says_so(parts: dict[str, Path], tmp_path: Path) -> None:
    model = assemble(language=parts["language"], tokenizer=parts["tokenizer"], out=tmp_path / "text").folder
    with client_of(model, limits=SMALL) as client:
        assert client.get("/health").json()["pictures"] is False
        picture = user("Q", ("image_url", url_of(png())))
        for answer in (ask(client, picture), client.post(PICTURE, json={"prompt": "a cat"})):
            assert "found one of text alone" in error(answer, 400)["message"]
        assert ask(client).json()["model"] == "text"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": EVERY}, "expected a token to listen on 0.0.0.0, which others reach, found none"),
        ({"host": "example.org"}, "expected a token to listen on example.org"),
        ({"port": 70_000}, "expected a port from 0 to 65535"),
        ({"token": "a b"}, "expected a token of ASCII letters without spaces"),
        ({"chunk": 0}, "expected a chunk of at least 1 token"),
        ({"host": "192.0.2.1", "token": "t", "port": 0}, "expected an address that is free at 192.0.2.1"),
    ],
)
def test_an_address_that_cannot_be_is_one_line(model: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Server(ServeRequest(model=model, **fields))


def test_limits_that_bound_nothing_are_refused() -> None:
    with pytest.raises(PortError, match="expected seconds of at least 1, found 0"):
        Limits(seconds=0)
    assert Limits(queue=0).queue == 0
