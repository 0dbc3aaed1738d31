"""The page needs nothing but its server. (That no test's page asked elsewhere is checked in conftest.py.)"""

import re
from pathlib import Path

import serkit
from conftest import REBOUND

DIST = Path(serkit.__file__).parent / "app/page/dist"

#: Names that look like addresses and are never fetched.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}


def test_no_file_names_another_address():
    for path in DIST.iterdir():
        if path.name not in ("LICENSES.txt", "sample.flac"):
            assert set(re.findall(r"https?://[\w./-]+", path.read_text())) <= NAMESPACES, path.name


def test_the_browser_is_told_to_refuse_other_origins(context, server):
    page = context.new_page()
    page.goto(server)
    refused = page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            fetch("http://127.0.0.2:9/").catch(() => {});
        })"""
    )
    assert refused == "connect-src"


def test_the_licences_of_what_is_bundled_are_with_it():
    text = (DIST / "LICENSES.txt").read_text()
    for package in ("preact", "@preact/signals", "fft.js", "micromark", "micromark-extension-gfm-table"):
        assert re.search(rf"^{re.escape(package)} [\d.]+ \(MIT\)$", text, re.M), package
    assert text.count("Permission is hereby granted") >= 5


def test_nothing_inline_is_run(context, server):
    page = context.new_page()
    page.goto(server)
    refused = page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "document.title = 'run'";
            document.body.append(script);
        })"""
    )
    assert refused == "script-src-elem"
    assert page.title() != "run"


def test_a_name_that_points_here_is_not_answered(browser, server):
    context = browser.new_context()
    answer = context.new_page().goto(server.replace("127.0.0.1", REBOUND))
    assert answer.status == 421
    assert answer.json()["error"].startswith(f"host '{REBOUND}:")
    context.close()


def test_another_page_gets_no_stream_and_no_frame(browser, server):
    context = browser.new_context()
    page = context.new_page()
    page.goto("about:blank")
    opened = page.evaluate(
        """(url) => new Promise((resolve) => {
            const socket = new WebSocket(url);
            socket.onopen = () => resolve(true);
            socket.onerror = () => resolve(false);
        })""",
        f"{server.replace('http', 'ws')}/v1/stream",
    )
    assert not opened
    page.set_content(f"<iframe src={server}></iframe>")
    page.wait_for_timeout(1000)
    assert page.frames[1].get_by_role("button").count() == 0
    context.close()
