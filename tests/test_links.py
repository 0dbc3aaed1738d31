"""Every link of README and docs leads somewhere: to a file of the project, and to a heading where one is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The preface is laid into a page one folder above, from where its links are read.
PAGES = [
    *ROOT.glob("*.md"),
    # The reference is made with the site, where its links are checked.
    *(page for page in ROOT.glob("docs/**/*.md") if page.name != "preface.md" and "reference" not in page.parts),
    *ROOT.glob("src/serkit/bundles/*/CARD.md"),
]


def without_code(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """Names of the headings, as GitHub makes them: small letters, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', without_code(page))
    for link in (link or source for link, source in links):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_headings_are_named_as_github_names_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` c: d\n```\n# code\n```\n## Two  words, 1\n")
    assert anchors(page) == {"a-b-c-d", "two--words-1"}
