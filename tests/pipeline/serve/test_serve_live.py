"""A server that listens: OpenAI's own client, many requests of which half go away, the page, and the command."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from lwmport import memory
from lwmport.cli.main import cli
from lwmport.cli.serve import serve
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.run import Server, ServeRequest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'lwmport[serve]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'lwmport[serve]'")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed: pip install 'lwmport[serve]'")

EACH = {"messages": [{"role": "user", "content": "What?"}], "temperature": 0}


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    """Return a server with places for 150 requests."""
    found = Server(ServeRequest(model=model, port=0, name="small", limits=Limits(queue=149, tokens=100)))
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_the_client_of_openai_is_served(server: Server) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed: pip install openai")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        asked = {"model": "small", "messages": EACH["messages"], "temperature": 0, "max_tokens": 6, "seed": 1}
        whole = client.chat.completions.create(**asked)
        text = whole.choices[0].message.content
        stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        pieces = list(stream)
        assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == text
        assert pieces[-1].usage == whole.usage
        assert whole.usage.completion_tokens == 6
        again = [*asked["messages"], whole.choices[0].message.model_dump(), {"role": "user", "content": "And?"}]
        further = client.chat.completions.create(**{**asked, "messages": again})
        assert further.usage.prompt_tokens > whole.usage.prompt_tokens
        assert [model.id for model in client.models.list()] == ["small"]
        with pytest.raises(openai.BadRequestError, match="expected no tools, for nothing else is supported here"):
            client.chat.completions.create(**asked, tools=[{"type": "function", "function": {"name": "f"}}])


PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text(encoding="utf-8")


def test_the_example_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    pytest.importorskip("openai", reason="openai is not installed: pip install openai")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save("photo.png")
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    example = example.replace("http://127.0.0.1:8000", server.url).replace('"model"', '"small"')
    exec(compile(f"{example}\nclient.close()", "serve.md", "exec"), {})  # noqa: S102 - our own page
    with Image.open("house.png") as made:
        assert made.size == (32, 32)


def test_the_commands_of_the_document_are_understood() -> None:
    (commands,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line.partition("lwmport serve ")[2].split() for line in commands.splitlines()]
    assert len(lines) == 2
    for words in lines:
        context = serve.make_context("serve", list(words))
        assert context.params["model"] == Path("model")
    rows = re.findall(r"^\| `(--[\w-]+) ?\w*` \| (\w+) \|", PAGE, re.MULTILINE)
    defaults = {option.opts[0]: str(option.default) for option in serve.params}
    assert len(rows) == 8
    assert [row for row in rows if defaults[row[0]] != row[1]] == []


async def _many(server: Server, count: int) -> list[Any]:
    """Ask all at once; every second one goes away: while it waits, or behind the first piece of its answer."""
    import httpx

    async def one(client: httpx.AsyncClient, number: int) -> int | None:
        body = {**EACH, "max_tokens": 100 if number % 2 else 2, "stream": number % 4 in (1, 2)}
        async with client.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
            if number % 4 == 1 and answer.status_code == 200:
                async for _ in answer.aiter_lines():
                    return None
            await answer.aread()
            return answer.status_code

    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None), trust_env=False) as client:
        tasks = [asyncio.create_task(one(client, number)) for number in range(count)]
        until = time.monotonic() + 10
        while server.app.state.house.line.waiting < count // 4 and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for task in tasks[3::4]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)


def test_many_requests_of_which_half_go_away(server: Server) -> None:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
    line = server.app.state.house.line
    asyncio.run(_many(server, 20))
    before, threads = memory.anonymous_bytes(), threading.active_count()
    found = asyncio.run(_many(server, 200))
    stayed = [found[number] for number in range(0, 200, 2)]
    assert set(stayed) == {200, 429} or set(stayed) == {200}, set(map(repr, stayed))
    assert stayed.count(200) >= 50
    until = time.monotonic() + 10
    while (line.taken or line.running) and time.monotonic() < until:
        time.sleep(0.02)
    assert (line.taken, line.waiting, line.running) == (0, 0, 0)
    assert server.app.state.house.engine.session.length == 0
    assert threading.active_count() <= threads + 8
    after = memory.anonymous_bytes()
    if before is not None and after is not None:
        assert after - before < 100 << 20
    assert httpx.get(f"{server.url}/health", trust_env=False).json()["status"] == "ok"
    metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
    left = re.search(r'requests_total\{path="/v1/chat/completions",status="499"\} (\d+)', metrics)
    assert left is not None
    assert int(left[1]) >= 5


def test_the_page_answers_about_a_picture_and_makes_one(server: Server, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def until(script: str) -> Any:
        return WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(f"return {script}"))

    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    browser.get(server.url)
    until("document.title === 'small'")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "a.png"))
    until("document.querySelector('#shown img')?.naturalWidth === 60")
    browser.find_element(By.ID, "text").send_keys("What is <b>it</b>?")
    browser.find_element(By.ID, "ask").click()
    until("document.getElementById('stop').hidden && document.querySelector('article.assistant')?.textContent")
    assert browser.execute_script("return document.querySelector('article.user').textContent") == "What is <b>it</b>?"
    assert browser.execute_script("return document.querySelector('article.user img').naturalWidth") == 60
    browser.find_element(By.ID, "text").send_keys("a cat")
    browser.find_element(By.ID, "paint").click()
    until("document.querySelector('img.made')?.naturalWidth === 32")
    browser.find_element(By.ID, "text").send_keys("word " * 300)
    browser.find_element(By.ID, "ask").click()
    assert until("document.querySelector('article.error')?.textContent").startswith("expected at most 1,200 tokens")
    browser.save_screenshot(os.environ.get("LWMPORT_SCREENSHOT", str(tmp_path / "page.png")))
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert f"{server.url}/page.js" in loaded
    assert [name for name in loaded if not name.startswith((server.url, "data:"))] == []
    asked = [entry["message"] for entry in browser.get_log("browser")]
    assert [text for text in asked if "400 (Bad Request)" not in text] == []
    browser.find_element(By.ID, "new").click()
    assert browser.execute_script("return document.querySelectorAll('article').length") == 0


@pytest.fixture
def signals() -> Iterator[None]:
    """Give the process its own ways with signals back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    descriptor = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(descriptor)
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_the_command_serves_until_it_is_asked_to_end(model: Path) -> None:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen: list[Any] = []

    def ask_and_end() -> None:
        until = time.monotonic() + 30
        while not seen and time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                seen.append(httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()["model"])
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=ask_and_end)
    thread.start()
    result = CliRunner().invoke(cli, ["serve", str(model), "--port", str(port), "--max-upload", "1MiB"])
    thread.join()
    assert result.exit_code == 0, result.output
    assert result.stdout == f"http://127.0.0.1:{port}: {model}; Ctrl-C ends it\n"
    assert seen == ["model"]


def test_a_port_that_is_taken_is_one_line(model: Path, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    result = CliRunner().invoke(cli, ["serve", str(model), "--port", port])
    assert f"expected an address that is free at 127.0.0.1, port {port}, found: " in str(result.exception)


def test_a_stranger_reaches_no_server_without_a_token(model: Path) -> None:
    result = CliRunner().invoke(cli, ["serve", str(model), "--host", "0.0.0.0"])  # noqa: S104 - it is refused
    assert getattr(result.exception, "exit_code", None) == 2
    assert str(result.exception).startswith("expected a token to listen on 0.0.0.0, which others reach, found none")
