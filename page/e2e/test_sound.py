"""A file is opened: what the page shows is what the server says."""

import re

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from conftest import PHONE, open_file, settle


@pytest.fixture(scope="module")
def told(server, sounds):
    """What the server says of `speech.wav`."""
    body = (sounds / "speech.wav").read_bytes()
    return {kind: httpx.post(f"{server}/v1/{kind}", content=body).json() for kind in ("predict", "timeline")}


def test_label_and_segments_are_the_servers(opened, told):
    answer = told["predict"]
    label = answer["label"] if answer["sure"] else "no speech" if answer["doubt"] == "no speech" else "unsure"
    assert opened.locator(".summary .verdict strong").inner_text().strip() == label
    rows = opened.get_by_role("group", name="Rows of segments").locator("tbody tr")
    shown = [row.locator("td").all_inner_texts() for row in rows.all()]
    segments = told["timeline"]["segments"]
    assert len(segments) > 0
    assert [[_clock(s["start"]), _clock(s["end"]), _named(s), f"{100 * s['confidence']:.0f} %"] for s in segments] == [
        [cell.strip() for cell in row] for row in shown
    ]


def test_each_segment_lies_at_its_time(opened, told):
    lane = opened.locator(".lane").bounding_box()
    drawn = opened.get_by_role("listbox").get_by_role("option").all()
    for option, segment in zip(drawn, told["timeline"]["segments"], strict=True):
        box = option.bounding_box()
        expected = lane["x"] + lane["width"] * segment["start"] / told["timeline"]["duration"]
        assert box["x"] == pytest.approx(expected, abs=1)


def test_figures_are_those_of_the_window_at_the_position(opened, told):
    opened.get_by_label("Position").fill("6.0")
    windows = told["timeline"]["windows"]
    window = next(window for window in windows if window["end"] > 6.0)
    figures = opened.locator(".track", has=opened.locator(".probability")).locator(".figure").all_inner_texts()
    wanted = window["probabilities"]
    labels = told["timeline"]["labels"]
    assert figures == ([f"{100 * wanted[label]:.0f} %" for label in labels] if wanted else ["–"] * len(labels))


def test_playing_moves_the_line_and_the_position(opened):
    opened.get_by_role("button", name="Play").click()
    expect(opened.get_by_label("Position")).to_have_attribute("aria-valuetext", re.compile("^1"))
    opened.get_by_role("button", name="Pause").click()
    position = float(opened.get_by_label("Position").input_value())
    lane, line = opened.locator(".lane").bounding_box(), opened.locator(".playhead").bounding_box()
    duration = float(opened.get_by_label("Position").get_attribute("max"))
    assert line["x"] + 1 == pytest.approx(lane["x"] + lane["width"] * position / duration, abs=5)


def test_clicking_into_the_picture_goes_there(opened):
    box = opened.get_by_role("img", name="Waveform").bounding_box()
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    position = opened.get_by_label("Position")
    duration = float(position.get_attribute("max"))
    assert float(position.input_value()) == pytest.approx(duration / 2, abs=0.1)


def test_zooming_stays_at_the_position(opened):
    opened.get_by_label("Position").fill("7")
    before = opened.locator(".playhead").bounding_box()["x"]
    opened.get_by_role("button", name="Closer").click()
    opened.get_by_role("button", name="Closer").click()
    assert opened.locator(".playhead").bounding_box()["x"] == pytest.approx(before, abs=1)
    segments = opened.get_by_role("listbox").get_by_role("option")
    few = segments.count()
    opened.get_by_role("button", name="Whole sound").click()
    assert segments.count() > few
    expect(opened.get_by_role("button", name="Whole sound")).to_be_disabled()


def test_a_file_can_be_dropped_anywhere(page, sounds):
    data = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.wav"));
            return transfer;
        }""",
        list((sounds / "silence.wav").read_bytes()),
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": data})
    settle(page)
    expect(page.get_by_role("heading", name="dropped.wav")).to_be_visible()


def test_silence_has_no_segments(page, sounds):
    open_file(page, sounds / "silence.wav")
    expect(page.get_by_text("No speech was found.")).to_have_count(2)
    # Both answers warn of it, in the same words.
    expect(page.locator(".warning").filter(has_text="silent")).to_have_count(1)


def test_a_broken_file_is_a_line_and_can_be_tried_again(page, sounds):
    open_file(page, sounds / "broken.wav")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("broken.wav")
    alert.get_by_role("button", name="Try again").click()
    settle(page)
    expect(alert).to_be_visible()
    expect(page.get_by_role("listbox")).to_have_count(0)


def test_a_format_that_the_browser_cannot_play_is_still_recognised(page, sounds):
    open_file(page, sounds / "speech.aiff")
    expect(page.get_by_text("The browser cannot play this format")).to_be_visible()
    expect(page.get_by_role("img", name="Waveform")).to_have_count(0)
    page.get_by_role("listbox").get_by_role("option").first.click()
    assert float(page.get_by_label("Position").input_value()) > 0


def test_each_channel_can_be_listened_to(page, server, sounds):
    open_file(page, sounds / "two.flac")
    page.get_by_label("Channel").select_option("1")
    settle(page)
    body = (sounds / "two.flac").read_bytes()
    answer = httpx.post(f"{server}/v1/predict", params={"channel": 1}, content=body).json()
    label = max(answer["probabilities"], key=answer["probabilities"].get)
    shown = page.locator(".bars li", has_text=label).locator(".figure").inner_text()
    assert shown == f"{100 * answer['probabilities'][label]:.0f} %"


def test_each_channel_has_its_own_timeline(page, sounds):
    open_file(page, sounds / "two.flac")
    page.get_by_label("Channel").select_option("each")
    settle(page)
    for number in (1, 2):
        name = f"default, channel {number}"
        expect(page.get_by_role("region", name=f"{name} along the time")).to_be_visible()
        expect(page.get_by_role("list", name=f"Probabilities of channel {number}")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Channel")).to_be_visible()


def test_a_server_that_has_gone_is_a_line(opened, sounds):
    opened.context.set_offline(True)
    open_file(opened, sounds / "silence.wav")
    expect(opened.get_by_role("alert")).to_contain_text("The server does not answer")
    opened.context.set_offline(False)
    opened.get_by_role("button", name="Try again").click()
    settle(opened)
    expect(opened.get_by_role("alert")).to_have_count(0)


def _named(segment: dict) -> str:
    return segment["label"] if segment["sure"] else f"{segment['label']} unsure: {segment['doubt']}"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


WEBM = """async () => {
    const context = new AudioContext();
    const [source, sink] = [context.createOscillator(), context.createMediaStreamDestination()];
    source.connect(sink);
    source.start();
    const recorder = new MediaRecorder(sink.stream, { mimeType: "audio/webm" });
    const piece = new Promise((resolve) => (recorder.ondataavailable = ({ data }) => resolve(data)));
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    recorder.stop();
    const transfer = new DataTransfer();
    transfer.items.add(new File([await piece], "note.webm"));
    document.querySelector("h1").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


def test_a_format_that_the_browser_decodes_is_sent_as_wav(page):
    bodies = []
    page.on("request", lambda request: bodies.append(request.post_data_buffer) if "timeline" in request.url else None)
    page.evaluate(WEBM)
    settle(page)
    expect(page.get_by_role("heading", name="note.webm")).to_be_visible()
    expect(page.get_by_role("img", name="Waveform")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert bodies and all(b"RIFF" in body[:400] for body in bodies if body)


def test_there_is_a_sample(page):
    page.get_by_role("button", name="Try a sample").click()
    settle(page)
    expect(page.get_by_role("heading", name="sample.flac")).to_be_visible()
    assert page.get_by_role("listbox").get_by_role("option").count() > 3


def test_the_headline_says_what_the_segments_say(opened, told):
    lengths = {}
    for one in told["timeline"]["segments"]:
        lengths[one["label"]] = lengths.get(one["label"], 0) + one["end"] - one["start"]
    most = max(lengths, key=lengths.get)
    share = f"{most} {100 * lengths[most] / sum(lengths.values()):.0f} %"
    expect(opened.locator(".composition")).to_contain_text(share)


def test_a_short_segment_shows_two_letters(opened):
    opened.set_viewport_size(PHONE)
    shown = opened.locator(".segment").evaluate_all(
        """all => all.map((one) => {
            const letters = one.querySelector("b");
            const short = getComputedStyle(letters).display !== "none";
            return [one.clientWidth, short ? letters.dataset.letters : one.innerText.trim()];
        })"""
    )
    assert all(text for width, text in shown if width > 15)
    assert any(len(text) == 2 for _, text in shown)


def test_tables_and_downloads_are_folded_on_a_phone(page, sounds):
    page.set_viewport_size(PHONE)
    open_file(page, sounds / "speech.wav")
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.get_by_role("button", name="JSON", exact=True)).to_be_hidden()
    page.get_by_text("Download the timeline").click()
    expect(page.get_by_role("button", name="JSON", exact=True)).to_be_visible()
