"""The microphone, which hears `speech.wav` over and over."""

import re

from playwright.sync_api import expect

from conftest import settle


def test_a_recording_is_opened_as_a_file(page):
    page.get_by_role("button", name="Record").click()
    expect(page.locator(".time")).to_have_text(re.compile(r"0:0[4-9]\."))
    assert float(page.get_by_role("meter").get_attribute("value")) >= 0
    page.get_by_role("button", name="Stop and open").click()
    settle(page)
    expect(page.get_by_role("heading", name=re.compile(r"recording .*\.wav"))).to_be_visible()
    assert float(page.get_by_label("Position").get_attribute("max")) >= 4
    assert page.get_by_role("listbox").get_by_role("option").count() > 0


def test_a_recording_can_be_discarded(page):
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="Drop a recording")).to_be_visible()


def test_live_results_come_while_it_listens(page):
    page.get_by_role("button", name="Listen live").click()
    figure = page.locator(".figures dd")
    expect(figure.nth(3)).to_have_text(re.compile(r"^([6-9]|\d\d)\.\d s$"))
    latency, received, dropped = (figure.nth(index).inner_text() for index in (1, 3, 4))
    assert int(latency.removesuffix(" ms")) > 0
    assert float(received.removesuffix(" s")) > 5
    assert float(dropped.removesuffix(" s")) >= 0  # above 0 on a machine that is too busy
    first_label = page.locator(".track", has=page.locator(".probability")).first.locator(".figure")
    expect(first_label).to_have_text(re.compile("%"))  # with the next word, should it be silent now
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Live stream, stopped")).to_be_visible()
    assert page.locator("tbody tr").count() > 0
    expect(page.get_by_role("status")).to_contain_text("Stopped after")


def test_no_microphone_is_a_line(context, server):
    page = context.new_page()
    page.add_init_script(
        """navigator.mediaDevices.getUserMedia =
               () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));"""
    )
    page.goto(server)
    page.get_by_role("button", name="Listen live").click()
    expect(page.get_by_role("alert")).to_contain_text("The microphone was not allowed")
    expect(page.get_by_role("button", name="Listen live")).to_be_visible()


def test_after_a_stream_segments_are_saved_and_models_can_be_changed(page, tmp_path):
    page.get_by_label("Compare with").select_option("emodb")
    page.get_by_role("button", name="Listen live").click()
    for model in ("default", "emodb"):  # both listen
        table = page.get_by_role("region", name=f"Segments of {model}, newest first")
        table.locator("tbody tr").nth(1).wait_for(timeout=60_000)
    expect(page.get_by_label("Model", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Live stream, stopped")).to_be_visible()
    rows = page.get_by_role("region", name="Segments of emodb, newest first").locator("tbody tr").count()
    with page.expect_download() as event:
        page.get_by_role("group", name="Timeline of emodb").get_by_role("button", name="CSV", exact=True).click()
    assert re.fullmatch(r"live stream .*\.emodb\.csv", event.value.suggested_filename)
    event.value.save_as(tmp_path / "live.csv")
    lines = (tmp_path / "live.csv").read_text().splitlines()
    assert lines[0].startswith("file,start,end,label") and len(lines) == 1 + rows
    expect(page.get_by_label("Model", exact=True)).to_be_enabled()
    page.get_by_label("Model", exact=True).select_option("emodb")
    page.get_by_role("button", name="Listen live").click()
    expect(page.get_by_role("heading", name="Listening live")).to_be_visible()
    expect(page.get_by_role("region", name="emodb: now")).to_be_visible()
    expect(page.get_by_role("region", name="default: now")).to_have_count(0)
