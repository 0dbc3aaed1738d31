"""Does the page without a server say of real recordings what Python says, segment by segment?

    make page-static
    CHROMIUM=/usr/bin/chromium python benchmarks/static_page.py FOLDER [--recordings 50] [--live 600]

Opens each recording in Chromium, in turn as WAV and FLAC at several rates, and compares the downloaded timeline with
`Recognizer.timeline`. Needs playwright. Prints how many timelines have the same segments (times, labels, `sure`), the
largest difference of a probability, the time to the first answer after the page was loaded, and with `--live` the
memory over that many seconds of live listening.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

import serkit
from serkit import audio

RATES = (16000, 44100, 48000, 8000)
SITE = Path(__file__).parents[1] / "page/build/static"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def analysed(page: Page, path: Path, folder: Path) -> dict:
    """Open a file in the page; return the timeline that it saves."""
    page.locator("input[type=file]").set_input_files(path)
    page.get_by_role("heading", name=path.name).wait_for()
    page.locator(".downloads").first.wait_for()
    with page.expect_download() as event:
        page.get_by_role("button", name="JSON", exact=True).first.click()
    event.value.save_as(folder / "saved.json")
    return json.loads((folder / "saved.json").read_text("utf-8"))


def short(timeline: dict) -> list[tuple]:
    return [(one["start"], one["end"], one["label"], one["sure"]) for one in timeline["segments"]]


def compare(page: Page, files: list[Path], folder: Path) -> None:
    recognizer = serkit.load()
    same = labels = 0
    worst = 0.0
    kinds: dict[str, list[int]] = {}
    for number, path in enumerate(files):
        samples, own = audio.read(path)
        mono, rate = audio.mix(samples.reshape(len(samples), -1), None), RATES[number // 2 % len(RATES)]
        samples = audio.resample(mono, own, rate)
        # The browser decodes FLAC, the page itself WAV.
        given = folder / f"{number}{('.wav', '.flac')[number % 2]}"
        soundfile.write(given, samples, rate, subtype="PCM_16")
        found, wanted = analysed(page, given, folder), recognizer.timeline(given).to_dict()
        equal = short(found) == short(wanted)
        same += equal
        labels += [one[2] for one in short(found)] == [one[2] for one in short(wanted)]
        counts = kinds.setdefault(f"{given.suffix[1:]} {rate} Hz", [0, 0])
        counts[0] += equal
        counts[1] += 1
        for one, other in zip(found["windows"], wanted["windows"], strict=False):
            if one["probabilities"] and other["probabilities"] and one["start"] == other["start"]:
                pairs = [(one["probabilities"][label], other["probabilities"][label]) for label in found["labels"]]
                worst = max(worst, max(abs(a - b) for a, b in pairs))
        if not equal:
            print(f"  {path.name}: {short(found)} instead of {short(wanted)}")
    print(f"{same} of {len(files)} timelines have the same segments, {labels} the same labels in the same order")
    print("; ".join(f"{kind}: {equal} of {count}" for kind, (equal, count) in sorted(kinds.items())))
    print(f"largest difference of a probability in windows with the same start: {worst:.1e}")


def live(page: Page, seconds: float) -> None:
    page.get_by_role("button", name="Listen live").click()
    session = page.context.new_cdp_session(page)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        page.wait_for_timeout(min(60_000, 1000 * (seconds - passed)))
        heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        figures = page.locator(".figures dd").all_inner_texts()
        print(f"{time.monotonic() - began:.0f} s: page {heap:.1f} MB, {resident():.0f} MB of all processes, {figures}")
    page.get_by_role("button", name="Stop").click()


def resident() -> float:
    """Return the memory of the browser's processes in MB."""
    pages = 0
    for statm in Path("/proc").glob("[0-9]*/statm"):
        try:
            if b"chromium" in (statm.parent / "cmdline").read_bytes().split(b"\0")[0]:
                resident, shared = map(int, statm.read_text().split()[1:3])
                pages += resident - shared
        except OSError:  # it has ended
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recordings", type=int, default=50)
    parser.add_argument("--live", type=float, default=0.0)
    asked = parser.parse_args()
    every = sorted(path for path in asked.folder.rglob("*") if path.suffix.lower() in (".wav", ".flac"))
    files = [every[number * len(every) // asked.recordings] for number in range(asked.recordings)]
    handler = functools.partial(Quiet, directory=SITE)
    with (
        tempfile.TemporaryDirectory() as folder,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as host,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=host.serve_forever, daemon=True).start()
        heard = Path(folder) / "heard.wav"
        parts = [audio.read(path) for path in files[:10]]
        rate = 16000
        joined = [audio.resample(audio.mix(one.reshape(len(one), -1), None), own, rate) for one, own in parts]
        soundfile.write(heard, np.concatenate(joined), rate)
        arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        arguments.append(f"--use-file-for-fake-audio-capture={heard}")
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=arguments)
        page = browser.new_context(accept_downloads=True).new_page()
        began = time.perf_counter()
        page.goto(f"http://127.0.0.1:{host.server_port}/")
        page.get_by_role("button", name="Open a file").wait_for()
        ready = time.perf_counter()
        analysed(page, heard, Path(folder))
        print(f"page shown after {ready - began:.1f} s, first timeline {time.perf_counter() - ready:.1f} s later")
        compare(page, files, Path(folder))
        if asked.live:
            live(page, asked.live)
        browser.close()
        host.shutdown()


if __name__ == "__main__":
    main()
