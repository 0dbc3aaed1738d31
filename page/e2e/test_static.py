"""The page without a server: the same answers as Python, and everything without a network after the first visit."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import threading
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

import serkit
from conftest import DESKTOP, open_file, settle

SITE = Path(__file__).parents[1] / "build/static"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host without a log."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def static_host():
    """Serve the files of `make page-static`; yields the address."""
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_port}/"
        host.shutdown()


@pytest.fixture(scope="module")
def cut_off(browser) -> BrowserContext:
    """A browser that has visited the page once; the host has gone since, and the network is cut."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", accept_downloads=True)
    with static_host() as address:
        page = context.new_page()
        page.goto(address)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        page.close()
    context.set_offline(True)
    context.address = address
    yield context
    context.close()


@pytest.fixture
def page(cut_off) -> Page:
    page = cut_off.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(cut_off.address)
    page.get_by_role("button", name="Open a file").wait_for()
    yield page
    page.close()
    assert errors == []


def saved(page: Page, button: str, tmp_path: Path) -> str:
    with page.expect_download() as event:
        page.get_by_role("button", name=button, exact=True).first.click()
    event.value.save_as(tmp_path / "saved")
    return (tmp_path / "saved").read_text("utf-8")


def test_segments_are_those_of_python(page, sounds, tmp_path):
    open_file(page, sounds / "speech.wav")
    found = json.loads(saved(page, "JSON", tmp_path))
    wanted = serkit.load().timeline(sounds / "speech.wav").to_dict()
    assert found["duration"] == wanted["duration"] and found["labels"] == wanted["labels"]
    assert len(found["windows"]) == len(wanted["windows"])
    assert [(one["start"], one["end"], one["label"], one["sure"]) for one in found["segments"]] == [
        (one["start"], one["end"], one["label"], one["sure"]) for one in wanted["segments"]
    ]
    for one, other in zip(found["segments"], wanted["segments"], strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-2)


def test_the_whole_sound_is_that_of_python(page, sounds):
    open_file(page, sounds / "speech.wav")
    answer = serkit.load()(sounds / "speech.wav")
    label = answer.label if answer.sure else "unsure"
    assert page.locator(".summary .verdict strong").inner_text().strip() == label


@pytest.mark.parametrize(
    ("button", "format"),
    [
        ("CSV", "csv"),
        ("SRT", "srt"),
        ("WebVTT", "vtt"),
        ("Praat TextGrid", "textgrid"),
        ("Audacity labels", "audacity"),
        ("RTTM", "rttm"),
        ("audformat", "audformat"),
    ],
)
def test_every_format_can_be_saved(page, sounds, tmp_path, button, format):
    open_file(page, sounds / "speech.wav")
    serkit.load().timeline(sounds / "speech.wav").write(tmp_path / "wanted", format)
    wanted = (tmp_path / "wanted").read_text("utf-8").replace(str(sounds / "speech.wav"), "speech.wav")
    # Resampling and rounding differ in the last digits.
    assert _without_last_digits(saved(page, button, tmp_path)) == _without_last_digits(wanted)


def _without_last_digits(text: str) -> str:
    return re.sub(r"0?\.\d+(?:e-\d+)?|\d+%", "n", text)


def test_two_models_are_compared(page, sounds):
    page.get_by_label("Compare with").select_option("emodb")
    open_file(page, sounds / "speech.wav")
    expect(page.locator(".summary")).to_have_count(2)


def test_a_recording_is_recognised(page):
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".time")).to_have_text(re.compile(r"0:0[4-9]\."))
    page.get_by_role("button", name="Stop and open").click()
    settle(page)
    assert page.get_by_role("listbox").get_by_role("option").count() > 0


def test_live_results_come_while_it_listens(page):
    page.get_by_role("button", name="Listen live").click()
    figure = page.locator(".figures dd")
    expect(figure.nth(3)).to_have_text(re.compile(r"^([6-9]|\d\d)\.\d s$"))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Live stream, stopped")).to_be_visible()
    assert page.locator("tbody tr").count() > 0


def test_silence_and_a_broken_file(page, sounds):
    open_file(page, sounds / "silence.wav")
    expect(page.get_by_text("No speech was found.")).to_have_count(2)
    open_file(page, sounds / "broken.wav")
    expect(page.get_by_role("alert")).to_contain_text("broken.wav: the browser cannot decode it")


def test_it_says_that_the_sound_stays_here(page):
    page.get_by_role("button", name=re.compile("Use and limits")).first.click()
    expect(page.get_by_text("The sound stays in this browser. It is sent nowhere.")).to_be_visible()


def test_the_browser_is_told_to_refuse_other_origins(cut_off):
    page = cut_off.new_page()
    page.goto(cut_off.address)
    refused = page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            fetch("http://127.0.0.2:9/").catch(() => {});
        })"""
    )
    assert refused == "connect-src"
