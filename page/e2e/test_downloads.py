"""Every format of the server can be saved."""

import httpx2 as httpx
import pytest

FORMATS = {
    "JSON": ("json", "speech.default.json"),
    "CSV": ("csv", "speech.default.csv"),
    "SRT": ("srt", "speech.default.srt"),
    "WebVTT": ("vtt", "speech.default.vtt"),
    "Praat TextGrid": ("textgrid", "speech.default.TextGrid"),
    "ELAN document": ("eaf", "speech.default.eaf"),
    "Audacity labels": ("audacity", "speech.default.txt"),
    "RTTM": ("rttm", "speech.default.rttm"),
    "audformat": ("audformat", "speech.default.audformat.csv"),
}


@pytest.mark.parametrize("button", FORMATS)
def test_what_is_saved_is_what_the_server_writes(opened, server, sounds, tmp_path, button):
    format, name = FORMATS[button]
    with opened.expect_download() as event:
        opened.get_by_role("button", name=button, exact=True).click()
    assert event.value.suggested_filename == name
    event.value.save_as(tmp_path / name)
    with open(sounds / "speech.wav", "rb") as file:
        query = {"model": "default", "format": format}
        wanted = httpx.post(f"{server}/v1/timeline", params=query, files={"file": ("speech.wav", file)})
    assert (tmp_path / name).read_bytes() == wanted.content
    assert wanted.content
