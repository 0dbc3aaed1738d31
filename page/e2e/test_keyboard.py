"""Everything without a mouse."""

from playwright.sync_api import Page, expect

from conftest import settle


def focused(page: Page) -> str:
    """Name of what has the focus: its label, else its text."""
    return page.evaluate(
        """() => {
            const element = document.activeElement;
            return element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent.trim();
        }"""
    )


def test_tab_goes_from_top_to_bottom(page):
    names = []
    for _ in range(8):
        page.keyboard.press("Tab")
        names.append(focused(page))
    assert names == [
        "Skip to the sound",
        "Use and limits",
        "Dark theme",
        "Model",
        "Compare with",
        "Open a file",
        "Record",
        "Listen live",
    ]


def test_a_whole_visit(page, sounds):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file").focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(sounds / "speech.wav")
    settle(page)
    _tab_to(page, "Position")
    page.keyboard.press("ArrowRight")
    assert float(page.get_by_label("Position").input_value()) > 0

    options = page.get_by_role("listbox").get_by_role("option")
    options.first.focus()
    page.keyboard.press("ArrowRight")
    expect(options.nth(1)).to_be_focused()
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(options.last).to_be_focused()
    page.keyboard.press("Home")
    expect(options.first).to_be_focused()
    # The list is one stop: only the segment in focus can be reached by Tab.
    assert page.locator("[role=option][tabindex='0']").count() == 1
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Space")

    _tab_to(page, "JSON")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_arrows_bring_a_segment_outside_of_the_picture_into_it(opened):
    for _ in range(3):
        opened.get_by_role("button", name="Closer").click()
    first = opened.get_by_role("listbox").get_by_role("option").first
    last = first.get_attribute("aria-setsize")
    first.focus()
    opened.keyboard.press("End")
    expect(opened.locator(f"[aria-posinset='{last}']")).to_be_focused()


def test_a_dialog_gives_the_focus_back(page):
    page.get_by_role("button", name="Use and limits").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Use and limits")).to_be_focused()


def test_results_are_spoken(opened):
    expect(opened.get_by_role("status")).to_contain_text("default:")
    expect(opened.get_by_role("status")).to_contain_text("segment")


def _tab_to(page: Page, name: str) -> None:
    for _ in range(40):
        if focused(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to '{name}'")
