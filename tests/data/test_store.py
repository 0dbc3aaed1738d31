import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from serkit import audio
from serkit.corpora import Channel, Utterance
from serkit.data import store
from serkit.data.contents import CacheWarning
from serkit.data.items import Item
from serkit.data.store import Store, default_folder, digest
from serkit.errors import UserError
from serkit.features import build
from serkit.windowing import Windowing

RATE = 16000
WHOLE = Windowing()


@dataclass(frozen=True)
class Energy:
    """Energy of each tenth of a second; remembers how often it was computed."""

    rate: int = RATE
    power: float = 2.0
    seen: ClassVar[list[int]] = []

    name: ClassVar[str] = "energy"
    version: ClassVar[int] = 1
    shape: ClassVar[tuple[None]] = (None,)

    def __call__(self, signal):
        self.seen.append(len(signal))
        frames = signal[: len(signal) // 1600 * 1600].reshape(-1, 1600)
        return np.mean(np.abs(frames) ** self.power, axis=1).astype(np.float32)


@pytest.fixture
def count():
    """Return how often Energy was computed since the last call."""
    Energy.seen.clear()

    def count():
        number = len(Energy.seen)
        Energy.seen.clear()
        return number

    return count


def write(path, seed=0, samples=8000, channels=1):
    signal = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels))
    soundfile.write(path, signal, RATE)
    return path


@dataclass
class Place:
    """A store, and recordings in a folder."""

    folder: Path
    store: Store = field(init=False)

    def __post_init__(self):
        self.store = Store(self.folder / "store")

    def utterance(self, name="a", seed=0, **options):
        return Utterance(f"x/{name}", write(self.folder / f"{name}.wav", seed), **options)

    def compute(self, items, feature=None, windowing=WHOLE, channel=None, jobs=1):
        items = [Item(one) if isinstance(one, Utterance) else one for one in items]
        paths = [item.utterance.path for item in items]
        paths += [further.path for item in items for further in item.utterance.channels.values()]
        hashes, failed = self.store.hashes(paths)
        assert not failed
        return self.store.features(feature or Energy(), items, hashes, windowing, channel, jobs)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_what_is_there_is_not_computed_again(place, count):
    items = [place.utterance(name, seed) for seed, name in enumerate("abc")]
    first = place.compute(items)
    assert count() == 3
    assert len(first) == 3
    for item, array in zip(items, first, strict=True):
        expected = Energy()(audio.read(item.path)[0])
        np.testing.assert_array_equal(array, expected)
        assert (array.dtype, array.flags.writeable) == (np.float32, True)
    count()
    again = place.compute(reversed(items))
    assert count() == 0
    for one, other in zip(again, reversed(first), strict=True):
        np.testing.assert_array_equal(one, other)
    place.compute([*items, place.utterance("d", 3)])
    assert count() == 1


@pytest.mark.parametrize("jobs", [1, 4])
def test_one_content_is_computed_once_even_at_once(place, count, jobs):
    same = [place.utterance(name, seed=7) for name in "abcde"]
    arrays = place.compute([*same, same[0]], jobs=jobs)
    assert count() == 1
    assert len(arrays) == 6
    assert len(set(arrays.keys)) == 1


def test_an_array_is_found_by_its_item_whatever_the_number_of_threads(place):
    items = [place.utterance(f"{seed:02}", seed) for seed in range(20)]
    arrays = place.compute(items, jobs=4)
    for item, array in zip(items, arrays, strict=True):
        np.testing.assert_array_equal(array, Energy()(audio.read(item.path)[0]))


class Older(Energy):
    version: ClassVar[int] = 0


class Other(Energy):
    name: ClassVar[str] = "other"


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ("option", {"feature": Energy(power=1.0)}),
        ("rate", {"feature": Energy(rate=8000)}),
        ("version", {"feature": Older()}),
        ("name", {"feature": Other()}),
        ("channel", {"channel": "egg"}),
        ("start", {"item": {"start": 0.1, "end": 0.4}}),
        ("end", {"item": {"end": 0.4}}),
        ("copy", {"item": {"copy": "noise"}}),
        ("seed", {"item": {"copy": "noise", "seed": 1}, "base": {"item": {"copy": "noise"}}}),
        ("kind of copy", {"item": {"copy": "slower"}, "base": {"item": {"copy": "faster"}}}),
        ("utterance's start", {"utterance": {"start": 0.1}}),
        ("utterance's end", {"utterance": {"end": 0.4}}),
        ("speech's channel", {"utterance": {"index": 0}}),
        ("length", {"windowing": Windowing(0.7)}),
        ("tail", {"windowing": Windowing(0.7, tail="keep"), "base": {"windowing": Windowing(0.7)}}),
        ("place of the channel", {"shift": 0.1, "channel": "egg", "base": {"channel": "egg"}}),
        ("index of the channel", {"index": 1, "channel": "egg", "base": {"channel": "egg"}}),
    ],
)
def test_all_that_decides_the_numbers_is_in_the_key(place, count, change, options):
    utterance = place.utterance()
    egg = write(place.folder / "egg.wav", 9, channels=2)

    def compute(options):
        channels = {"egg": Channel(egg, options.get("index", 0), options.get("shift", 0.0))}
        made = replace(utterance, channels=channels, **options.get("utterance", {}))
        item = Item(made, **options.get("item", {}))
        windowing = options.get("windowing", WHOLE)
        [array] = place.compute([item], options.get("feature"), windowing, options.get("channel"))
        return array

    base = options.pop("base", {})
    before = compute(base)
    assert count() == 1
    after = compute(options)
    assert count() == 1, f"{change} is not in the key"
    compute(base)
    compute(options)
    assert count() == 0
    if change not in ("version", "name", "speech's channel"):
        assert not np.array_equal(before, after)


def test_what_does_not_change_the_numbers_changes_no_key(place, count):
    utterance = place.utterance()
    place.compute([utterance])
    renamed = replace(utterance, id="y/b", speaker="y/2", targets={"emotion": "anger"}, attributes={"take": 2})
    place.compute([renamed])
    place.compute([utterance], windowing=Windowing(hop=3.0, minimum=1.0))
    place.compute([Item(utterance, seed=5)])
    assert count() == 1


def test_the_length_of_the_speech_is_in_the_key_of_its_other_channel(place, count):
    egg = write(place.folder / "egg.wav", 9, samples=20000)
    short = place.utterance("a", channels={"egg": Channel(egg)})
    long = replace(short, path=write(place.folder / "long.wav", samples=16000))
    arrays = [place.compute([utterance], channel="egg")[0] for utterance in (short, long)]
    assert count() == 2
    assert [len(array) for array in arrays] == [5, 10]


def test_a_changed_file_is_noticed(place, count):
    utterance = place.utterance(seed=1)
    [before] = place.compute([utterance])
    write(utterance.path, seed=2)
    [after] = place.compute([utterance])
    assert count() == 2
    assert not np.array_equal(before, after)
    write(utterance.path, seed=1)
    [again] = place.compute([utterance])
    assert count() == 0  # what it was before is still there
    np.testing.assert_array_equal(again, before)


def test_the_same_recording_in_another_place_and_container_is_known(place, count):
    utterance = place.utterance(seed=1)
    place.compute([utterance])
    moved = place.folder / "deep" / "moved.flac"
    moved.parent.mkdir()
    soundfile.write(moved, audio.read(utterance.path)[0], RATE)
    place.compute([Utterance("y/moved", moved)])
    assert count() == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "cut header", "longer", "zeros", "text"])
def test_a_damaged_array_is_computed_again(place, count, damage):
    items = [place.utterance(name, seed) for seed, name in enumerate("ab")]
    before = place.compute(items)
    [key, _] = before.keys
    path = place.store.path(key)
    content = path.read_bytes()
    expected = before[0]
    damaged = {
        "empty": b"",
        "cut": content[:-3],
        "cut header": content[:50],
        "longer": content + b"x",
        "zeros": bytes(len(content)),
        "text": b"\x93NUMPY\x01\x00\x10\x00{'descr': 'rubbish'}" + bytes(50),
    }
    path.write_bytes(damaged[damage])
    count()
    with pytest.warns(CacheWarning, match="damaged arrays are computed again"):
        after = place.compute(items)
    assert count() == 1
    np.testing.assert_array_equal(after[0], expected)
    assert key in place.store


def flip(path, place):
    """Flip a bit of a byte."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("where", [0, 6, 8, 20, 60, 130, 140, 147, -1, -3, -5, -8, -12])
def test_a_flipped_byte_anywhere_is_computed_again(place, count, where):
    items = [place.utterance(name, seed) for seed, name in enumerate("abc")]
    before = list(place.compute(items))
    arrays = store.Arrays(place.store, place.compute(items).keys)
    for key in arrays.keys:
        flip(place.store.path(key), where)
    count()
    with pytest.warns(CacheWarning, match="damaged arrays are computed again; the first: ") as told:
        after = list(place.compute(items))
    assert count() == 3
    assert len(told) == 1  # of the store, not of each array
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(place.compute(items))
    assert count() == 0


def test_large_arrays_are_checked_from_end_to_end(tmp_path):
    """Bytes of every part of the checksum: sums of columns, what fills no row, the header."""
    stored, array = Store(tmp_path), np.random.default_rng(0).random((64, 1000), dtype=np.float32)
    stored.save(key := digest("large"), array)
    path, content = stored.path(key), stored.path(key).read_bytes()
    generator = np.random.default_rng(1)
    for where in [*generator.integers(0, len(content), 200), len(content) - 1, len(content) - 9, 8 * 521, 8 * 521 - 1]:
        path.write_bytes(content)
        flip(path, int(where))
        with warnings.catch_warnings(), pytest.raises(UserError, match="broken array in the store"):
            warnings.simplefilter("ignore")
            stored.load(key)
    blocks = bytearray(content)
    blocks[4096:8192], blocks[8192:12288] = blocks[8192:12288], blocks[4096:8192]
    blocks[40960:45056] = bytes(4096)
    for damaged in (blocks, content[:40960] + bytes(4096) + content[45056:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="its checksum does not match"):
            stored.load(key)
    path.write_bytes(content)
    np.testing.assert_array_equal(stored.load(key), array)


def test_a_shape_that_takes_the_seal_for_numbers_is_noticed(tmp_path):
    """Two numbers of 32 bits more are as long as the seal."""
    stored = Store(tmp_path)
    stored.save(key := digest("any"), np.zeros(200, dtype=np.float32))
    path = stored.path(key)
    content = path.read_bytes()
    assert content.count(b"(200,)") == 1
    path.write_bytes(content.replace(b"(200,)", b"(202,)"))
    with pytest.warns(CacheWarning), pytest.raises(UserError, match="its checksum does not match"):
        stored.load(key)


def test_an_array_in_place_of_another_is_computed_again(place, count):
    items = [place.utterance(name, seed) for seed, name in enumerate("ab")]
    before = place.compute(items)
    expected = [array.copy() for array in before]
    one, other = map(place.store.path, before.keys)
    one.write_bytes(other.read_bytes())
    count()
    with pytest.warns(CacheWarning):
        after = list(place.compute(items))
    assert count() == 1
    np.testing.assert_array_equal(after, expected)


def test_arrays_of_before_there_were_checksums_are_taken(place, count):
    items = [place.utterance(name, seed) for seed, name in enumerate("ab")]
    before = list(place.compute(items))
    for key in place.compute(items).keys:
        path = place.store.path(key)
        array = np.load(path)
        np.save(path, array)
    count()
    np.testing.assert_array_equal(list(place.compute(items)), before)
    assert count() == 0


@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_an_array_damaged_meanwhile_is_computed_again(place, count, how):
    arrays = place.compute([place.utterance()])
    expected = Energy()(audio.read(place.folder / "a.wav")[0])
    path = place.store.path(arrays.keys[0])
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3]) if how == "cut" else flip(path, -9)
    count()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(arrays[0], expected)
    assert count() == 1 and len(told) == (how != "gone")
    assert arrays.keys[0] in place.store


def test_an_array_nobody_can_compute_again_is_told_and_removed(place):
    key = digest("any")
    place.store.save(key, np.zeros(5))
    arrays, path = store.Arrays(place.store, [key]), place.store.path(key)
    path.write_bytes(path.read_bytes()[:-3])
    with (
        pytest.warns(CacheWarning),
        pytest.raises(UserError, match=r"broken array in the store .* It was removed; run again"),
    ):
        arrays[0]
    assert not path.exists()
    with pytest.raises(UserError, match="no longer in the store; run again"):
        arrays[0]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(24, dtype=np.float64).reshape(2, 3, 4),
        np.zeros((3, 0), dtype=np.float32),
        np.array([7], dtype=np.int16),
    ],
)
def test_arrays_come_back_as_they_were(place, array):
    key = digest("any")
    assert key not in place.store
    place.store.save(key, array)
    assert key in place.store
    found = place.store.load(key)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(np.load(place.store.path(key)), array)


def test_an_interrupted_save_leaves_nothing(place, monkeypatch):
    key = digest("any")
    seen = []

    def interrupted(file, array, **options):
        file.write(b"\x93NUMPY\x01\x00 half of it")
        file.flush()
        seen.append((key in place.store, place.store.path(key).exists()))
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.store.save(key, np.zeros(100))
    assert seen == [(False, False)]
    assert [path for path in place.store.folder.rglob("*") if path.is_file()] == []


def test_digest_knows_content_not_order():
    assert digest({"a": 1, "b": [2.5, None]}) == digest({"b": [2.5, None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest([1, 2]) != digest([2, 1])
    assert len(digest("any")) == 32


def test_where_the_store_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    assert default_folder() == Store().folder == tmp_path / "cache"
    monkeypatch.delenv("SERKIT_CACHE")
    assert default_folder() == Path.home() / ".cache" / "serkit"
    assert Store(str(tmp_path)).folder == tmp_path


@pytest.mark.parametrize("jobs", [1, 4])
def test_hashes_report_what_cannot_be_read_and_go_on(place, jobs):
    good = [write(place.folder / f"{name}.wav", seed) for seed, name in enumerate("abc")]
    empty, text = place.folder / "empty.wav", place.folder / "text.wav"
    empty.write_bytes(b"")
    text.write_text("no sound")
    gone = place.folder / "gone.wav"
    hashes, failed = place.store.hashes([gone, good[0], empty, good[1], text, place.folder, good[2], good[0]], jobs)
    assert hashes == {path: audio.content_hash(path) for path in good}
    assert list(hashes) == good
    assert failed.keys() == {gone, empty, text, place.folder}
    assert all(message.startswith(f"{path}: ") for path, message in failed.items())
    assert "no such file" in failed[gone]
    assert "empty file" in failed[empty]
    assert "not audio" in failed[text]
    # What could not be read is tried again.
    write(text, 5)
    assert text in place.store.hashes([text])[0]


def test_a_second_run_decodes_nothing(place, monkeypatch):
    paths = [write(place.folder / f"{name}.wav", seed) for seed, name in enumerate("abc")]
    first, _ = place.store.hashes(paths)
    decoded = []
    real = audio.content_hash
    monkeypatch.setattr(audio, "content_hash", lambda path: decoded.append(path) or real(path))
    assert Store(place.store.folder).hashes(paths) == (first, {})
    assert decoded == []
    changed = os.stat(paths[1]).st_mtime_ns + 1
    os.utime(paths[1], ns=(changed, changed))  # the same content, touched
    monkeypatch.chdir(place.folder)
    found, _ = place.store.hashes([Path("a.wav"), Path("b.wav")])
    assert decoded == [Path("b.wav")]
    assert list(found.values()) == [first[paths[0]], first[paths[1]]]


def test_a_channel_or_recording_that_is_not_there_is_told(place):
    utterance = place.utterance(channels={"egg": Channel(place.folder / "gone.wav")})
    hashes, _ = place.store.hashes([utterance.path])
    with pytest.raises(UserError, match="x/a: no channel 'eeg'; it has: speech, egg"):
        place.store.features(Energy(), [Item(utterance)], hashes, WHOLE, "eeg")
    with pytest.raises(UserError, match=r"x/a: .*gone\.wav could not be read"):
        place.store.features(Energy(), [Item(utterance)], hashes, WHOLE, "egg")


def test_a_recording_broken_inside_ends_the_work_with_its_name(place):
    broken = place.folder / "broken.wav"
    soundfile.write(broken, np.array([0.1, np.nan, 0.1]), RATE, subtype="FLOAT")
    good = place.utterance()
    hashes, failed = place.store.hashes([good.path, broken])
    assert list(hashes) == [good.path] and "not a number or infinite" in failed[broken]
    # Broken only after it was looked at.
    hashes |= {broken: "another content"}
    with pytest.raises(audio.AudioError, match=r"broken\.wav: not a number or infinite"):
        place.store.features(Energy(), [Item(good), Item(Utterance("x/broken", broken))], hashes, WHOLE)


def test_arrays_are_a_sequence_kept_while_memory_lasts(place, monkeypatch):
    arrays = place.compute([place.utterance(name, seed) for seed, name in enumerate("abcd")])
    assert [len(array) for array in arrays[1:3]] == [5, 5]
    np.testing.assert_array_equal(arrays[-1], arrays[3])
    with pytest.raises(IndexError):
        arrays[4]
    assert arrays[1] is arrays[1]
    fresh = store.Arrays(place.store, arrays.keys)
    monkeypatch.setattr(store, "MEMORY", 2 * arrays[0].nbytes + 1)
    assert [fresh[index] is fresh[index] for index in range(4)] == [True, True, False, False]


def compute_in_a_process(folder, start, results):
    """Compute eight arrays as soon as the other process is ready too."""
    utterances = [Utterance(f"x/{seed}", Path(folder) / f"{seed}.wav") for seed in range(8)]
    place = Place(Path(folder))
    start.wait(30)
    arrays = place.compute(utterances, build("log_mel"), jobs=2)
    results.put([array.tobytes() for array in arrays])


def test_two_processes_at_once_give_whole_and_equal_arrays(tmp_path):
    paths = [write(tmp_path / f"{seed}.wav", seed, 4000) for seed in range(8)]
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=compute_in_a_process, args=(tmp_path, start, results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    expected = [build("log_mel")(audio.read(path)[0]).tobytes() for path in paths]
    assert found[0] == found[1] == expected
    files = [path for path in (tmp_path / "store" / "arrays").rglob("*") if path.is_file()]
    assert len(files) == 8
    assert all(path.suffix == ".npy" for path in files)


SCRIPT = """
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from serkit.corpora import Utterance
from serkit.data.store import Store
from serkit.data.items import Item
from serkit.windowing import Windowing

calls = []


@dataclass(frozen=True)
class Big:
    # An array so large that most of the time goes into saving it.
    rate: int = 16000
    name: ClassVar[str] = "big"
    version: ClassVar[int] = 1

    def __call__(self, signal):
        calls.append(1)
        return np.full(500_000, signal[0], dtype=np.float32)


folder, number = Path(sys.argv[1]), int(sys.argv[2])
items = [Item(Utterance(f"x/{seed}", folder / f"{seed}.wav")) for seed in range(number)]
store = Store(folder / "store")
hashes, _ = store.hashes([item.utterance.path for item in items])
arrays = store.features(Big(), items, hashes, Windowing(), jobs=2)
print(len(calls), sum(len(array) for array in arrays))
"""


def test_a_kill_leaves_only_whole_arrays_and_the_rest_is_computed(tmp_path):
    number = 60
    for seed in range(number):
        write(tmp_path / f"{seed}.wav", seed, 100)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(number)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60

    def arrays():
        return list((tmp_path / "store" / "arrays").rglob("*.npy"))

    while len(arrays()) < 10 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait(60)
    whole = arrays()
    assert 10 <= len(whole) < number, "the process was to be killed in the middle of its work"
    for path in whole:
        assert np.load(path).shape == (500_000,)
    again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    computed, samples = map(int, again.stdout.split())
    assert computed == number - len(whole)
    assert samples == number * 500_000
