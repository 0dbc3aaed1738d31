"""A real `serkit serve`, a real Chromium with a microphone that hears a file, and sounds that serkit makes up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from serkit.corpora import synthetic

HERE = Path(__file__).parent
# Machines that test are busy.
expect.set_options(timeout=30_000)

TOKEN = "a-token-for-the-tests"
#: A name that the browser takes for this computer's.
REBOUND = "rebound.example"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def sounds(tmp_path_factory) -> Path:
    """`speech.wav` (six sentences), `speech.aiff`, `two.flac` (two channels), `silence.wav`, `broken.wav`."""
    folder = tmp_path_factory.mktemp("sounds")
    manners = ["neutral", "anger", "sadness", "happiness", "anger", "neutral"]
    takes = [synthetic.utterance(1 + i % 2, 1 + i % 3, manner, 1, 0) for i, manner in enumerate(manners)]
    rate = takes[0].rate
    pause = np.zeros(round(0.7 * rate))
    speech = np.concatenate([part for take in takes for part in (take.speech, pause)])
    soundfile.write(folder / "speech.wav", speech, rate)
    soundfile.write(folder / "speech.aiff", speech, rate)
    soundfile.write(folder / "two.flac", np.stack([speech, 0.1 * speech[::-1]], axis=1), rate)
    soundfile.write(folder / "silence.wav", np.zeros(3 * rate), rate)
    (folder / "broken.wav").write_bytes(b"RIFF, and then nothing that is sound")
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a server with two models."""
    yield from _serve()


@pytest.fixture(scope="session")
def guarded_server() -> Iterator[str]:
    """The address of a server that wants `TOKEN`."""
    yield from _serve(SERKIT_TOKEN=TOKEN)


def _serve(**variables: str) -> Iterator[str]:
    command = [sys.executable, "-m", "serkit", "serve", "--port", "0", "--model", "default", "--model", "emodb"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        first = process.stderr.readline()
        address = re.search(r"http://\S+", first)
        assert address, first + process.stderr.read()
        yield address[0]
        process.terminate()


@pytest.fixture(scope="session")
def browser(sounds) -> Iterator[Browser]:
    arguments = [
        "--no-sandbox",  # root has no other way, in containers
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={sounds / 'speech.wav'}",
        f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser, server) -> Iterator[BrowserContext]:
    """A browser without memory, in which a test fails that asks another origin for anything."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("page", lambda page: page.on("websocket", lambda socket: asked.append(socket.url)))
    yield context
    context.close()
    elsewhere = [url for url in asked if not _is_of_this_computer(url)]
    assert asked and not elsewhere


def _is_of_this_computer(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "blob" or parts.hostname == "127.0.0.1"


@pytest.fixture
def page(context, server) -> Iterator[Page]:
    """The page, opened; a test fails in which it reports an error to the console."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(server)
    page.get_by_role("button", name="Open a file").wait_for()
    yield page
    # That a request was answered 4xx is the browser's remark, not the page's.
    assert [error for error in errors if "Failed to load resource" not in error] == []


@pytest.fixture
def opened(page, sounds) -> Page:
    """The page with `speech.wav` opened and analysed."""
    open_file(page, sounds / "speech.wav")
    return page


def open_file(page: Page, path: Path) -> None:
    """Open a file and wait until each chosen model has said something of it."""
    page.locator("input[type=file]").set_input_files(path)
    settle(page)


def settle(page: Page) -> None:
    """Wait until no model is at work and the pictures are drawn."""
    page.locator(".summary").first.wait_for()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(200)
