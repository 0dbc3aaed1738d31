"""The page needs nothing but its server. (That no test's page asked elsewhere is checked in conftest.py.)"""

import re
from pathlib import Path

import serkit

DIST = Path(serkit.__file__).parent / "app/page/dist"

#: Names that look like addresses and are never fetched.
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}


def test_no_file_names_another_address():
    for path in DIST.iterdir():
        if path.name != "LICENSES.txt":
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
