"""Each scene in both themes, on a desktop and on a phone: axe's rules, nothing wider than the screen, a picture.

The pictures lie in page/e2e/screenshots for people to look at.
"""

import json

import pytest
from playwright.sync_api import Page, expect

from conftest import DESKTOP, HERE, PHONE, open_file, settle

AXE = HERE.parent / "node_modules/axe-core/axe.min.js"
PICTURES = HERE / "screenshots"


def start(page, sounds): ...


def sound(page, sounds):
    open_file(page, sounds / "speech.wav")
    page.get_by_label("Position").fill("3.2")


def compare(page, sounds):
    open_file(page, sounds / "speech.wav")
    page.get_by_label("Compare with").select_option("emodb")
    settle(page)


def problem(page, sounds):
    open_file(page, sounds / "broken.wav")


def about(page, sounds):
    page.get_by_role("button", name="Use and limits").click()


def recording(page, sounds):
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop and open").wait_for()


def live(page, sounds):
    page.get_by_role("button", name="Listen live").click()
    page.locator("tbody tr").nth(3).wait_for(timeout=60_000)


SCENES = [start, sound, compare, problem, about, recording, live]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_scene(page: Page, sounds, scene, theme, viewport, request):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size(viewport)
    scene(page, sounds)
    page.wait_for_timeout(300)
    width = "phone" if viewport is PHONE else "desktop"
    page.screenshot(path=PICTURES / f"{scene.__name__}-{theme}-{width}.png", full_page=scene is not about)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    """Rules of axe-core that the page breaks, with the elements that break them."""
    # By evaluation: the page's own policy lets no other script in.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {json.dumps([node['html'][:200] for node in rule['nodes']])}" for rule in found]


def test_the_theme_can_be_chosen_and_is_remembered(page, server):
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark theme").click()
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    page.get_by_role("button", name="Open a file").wait_for()
    assert page.evaluate(background) == dark


def test_little_movement_for_those_who_asked_for_it(page):
    still = page.evaluate(
        """() => {
            const spinner = document.createElement("span");
            spinner.className = "spinner";
            document.body.append(spinner);
            return getComputedStyle(spinner).animationName;
        }"""
    )
    assert still == "none"
