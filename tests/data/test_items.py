import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import audio, augment, corpora
from serkit.corpora import Channel, Utterance
from serkit.data import items
from serkit.data.items import Item, copies, cut, draw, label, replaced, select, utterance_id
from serkit.errors import UserError
from serkit.windowing import TAILS, Windowing

RATE = 16000
NOTHING = 1e-4


@st.composite
def windowed(draw):
    """A windowing, and the duration of a recording in s."""
    samples = draw(st.integers(1, 3 * RATE))
    rate = draw(st.sampled_from([8000, 16000, 22050, 44100]))
    seconds = draw(st.floats(0.05, 2.5))
    hop = draw(st.one_of(st.none(), st.floats(0.1, 2.0).map(lambda part: part * seconds)))
    minimum = draw(st.one_of(st.just(0.0), st.floats(0.0, 1.0)))
    return Windowing(seconds, hop, draw(st.sampled_from(TAILS)), minimum), samples / rate, rate


@pytest.mark.parametrize("end", [None, 4.0, 1e-5])
@pytest.mark.parametrize("copy", [None, *augment.AUGMENTATIONS])
@pytest.mark.parametrize("name", ["emodb/03a01Fa", "table/take+b"])
def test_an_items_id_says_whose_it_is(name, copy, end):
    assert utterance_id(Item(Utterance(name, Path("a.wav")), 0.0, end, copy).id) == name


@settings(max_examples=500, deadline=None)
@given(windowed())
def test_windows_of_any_recording(recording):
    windowing, duration, rate = recording
    windows = windowing.windows(duration)
    starts, ends = map(np.array, zip(*windows, strict=True))
    seconds, hop = windowing.seconds, windowing.hop or windowing.seconds
    assert starts[0] == 0
    assert np.all(np.diff(starts) > 0)
    assert np.all(np.diff(ends) > 0)
    assert ends[-1] <= duration + 1e-6 * hop
    assert np.all(ends - starts <= seconds + 1e-9)
    assert all(round(start * rate) < round(end * rate) for start, end in windows), "a window without a sample"
    # Only the last can be shorter, and only where the tail says so.
    assert np.allclose(ends[:-1] - starts[:-1], seconds)
    if duration > seconds and windowing.tail in ("drop", "last", "first"):
        assert np.isclose(ends[-1] - starts[-1], seconds)
    if hop <= seconds and (windowing.tail == "last" or (windowing.tail in ("pad", "keep") and not windowing.minimum)):
        assert np.all(starts[1:] <= ends[:-1] + 1e-9)
        assert duration - ends[-1] <= NOTHING
    if windowing.tail == "first":
        assert windows == [(0.0, min(seconds, duration))]
    if windowing.tail in ("pad", "keep") and len(windows) > 1:
        assert ends[-1] - starts[-1] >= min(windowing.minimum, seconds) - 1e-9


@pytest.mark.parametrize(
    ("options", "duration", "expected"),
    [
        ({}, 7.3, [(0, 7.3)]),
        ({"seconds": 4}, 10, [(0, 4), (4, 8), (8, 10)]),
        ({"seconds": 4, "tail": "keep"}, 10, [(0, 4), (4, 8), (8, 10)]),
        ({"seconds": 4, "tail": "drop"}, 10, [(0, 4), (4, 8)]),
        ({"seconds": 4, "tail": "last"}, 10, [(0, 4), (4, 8), (6, 10)]),
        ({"seconds": 4, "tail": "first"}, 10, [(0, 4)]),
        ({"seconds": 4, "hop": 3}, 10, [(0, 4), (3, 7), (6, 10)]),
        ({"seconds": 4, "hop": 3}, 11, [(0, 4), (3, 7), (6, 10), (9, 11)]),
        ({"seconds": 4, "hop": 1}, 6, [(0, 4), (1, 5), (2, 6)]),
        ({"seconds": 2, "hop": 5}, 11, [(0, 2), (5, 7), (10, 11)]),
        ({"seconds": 2, "hop": 5}, 10, [(0, 2), (5, 7)]),
        ({"seconds": 4, "minimum": 2}, 10, [(0, 4), (4, 8), (8, 10)]),
        ({"seconds": 4, "minimum": 2.5}, 10, [(0, 4), (4, 8)]),
        ({"seconds": 4, "minimum": 2.5}, 1, [(0, 1)]),
        ({"seconds": 4, "tail": "drop"}, 1, [(0, 1)]),
        ({"seconds": 4, "tail": "last"}, 1, [(0, 1)]),
        ({"seconds": 4}, 8.00001, [(0, 4), (4, 8)]),
        ({"seconds": 4, "tail": "last"}, 8.00001, [(0, 4), (4, 8)]),
        ({"seconds": 0.1, "tail": "drop"}, 0.3, [(0, 0.1), (0.1, 0.2), (0.2, 0.3)]),  # 0.3 - 0.1 < 0.2
        ({"seconds": 0.1}, 0.1 + 0.2, [(0, 0.1), (0.1, 0.2), (0.2, 0.3)]),
    ],
)
def test_windows_by_hand(options, duration, expected):
    assert np.allclose(Windowing(**options).windows(duration), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tail": "pda"}, r"unknown tail 'pda'. Did you mean 'pad'\?"),
        ({"seconds": 0}, "windows of 0 s every None s: both must be above 0"),
        ({"seconds": 2, "hop": 0}, "windows of 2 s every 0 s: both must be above 0"),
        ({"seconds": float("nan")}, "windows of nan s every None s: both must be above 0, and finite"),
        ({"seconds": 2, "hop": float("inf")}, "windows of 2 s every inf s: both must be above 0, and finite"),
        ({"seconds": 2, "hop": -1}, "both must be above 0"),
    ],
)
def test_windows_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        Windowing(**options)


def test_fit_pads_with_zeros_and_trims():
    signal = np.arange(1, 6, dtype=np.float32)
    for tail in ("pad", "drop", "last", "first"):
        np.testing.assert_array_equal(Windowing(7, tail=tail).fit(signal, 1), [1, 2, 3, 4, 5, 0, 0])
        np.testing.assert_array_equal(Windowing(0.3, tail=tail).fit(signal, 10), [1, 2, 3])
    assert len(Windowing(0.29).fit(np.zeros(100), 100)) == 29  # 0.29 * 100 < 29
    assert Windowing(7).fit(signal, 1).dtype == np.float32
    for windowing in (Windowing(7, tail="keep"), Windowing(3, tail="keep"), Windowing()):
        np.testing.assert_array_equal(windowing.fit(signal, 1), signal)


@pytest.fixture
def write(tmp_path):
    """Write channels of numbers that tell where they are from; return path and channels."""

    def write(name, samples, channels=1, rate=RATE, seed=0):
        signals = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels)).astype(np.float32)
        soundfile.write(tmp_path / name, signals, rate, subtype="FLOAT")
        return tmp_path / name, signals.T

    return write


def test_cutting_a_recording(write):
    path, _ = write("a.wav", 25 * RATE // 10)
    windowing = Windowing(1.0)
    found = cut(Utterance("x/a", path), windowing)
    assert [(item.start, item.end) for item in found] == [(0.0, 1.0), (1.0, 2.0), (2.0, 2.5)]
    # An utterance inside its file: windows count from where it begins.
    part = cut(Utterance("x/a", path, start=0.5, end=2.0), windowing)
    assert [(item.start, item.end) for item in part] == [(0.0, 1.0), (1.0, 1.5)]
    rest = cut(Utterance("x/a", path, start=0.9), windowing)
    assert np.allclose([(item.start, item.end) for item in rest], [(0.0, 1.0), (1.0, 1.6)])
    assert cut(Utterance("x/a", Path("is not read")), Windowing()) == [Item(Utterance("x/a", Path("is not read")))]


def test_every_window_gives_the_samples_it_names(write):
    path, [signal] = write("a.wav", 40000)
    whole = Utterance("x/a", path, start=0.25, end=2.25)
    inside = signal[4000:36000]
    windowing = Windowing(0.75, 0.5, tail="keep")
    found = [item.signal(RATE, windowing) for item in cut(whole, windowing)]
    expected = [inside[0:12000], inside[8000:20000], inside[16000:28000], inside[24000:32000]]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    padded = [item.signal(RATE, Windowing(0.75, 0.5)) for item in cut(whole, Windowing(0.75, 0.5))]
    assert [len(window) for window in padded] == [12000] * 4
    np.testing.assert_array_equal(padded[3], np.append(expected[3], np.zeros(4000)))
    np.testing.assert_array_equal(Item(whole).signal(RATE, Windowing()), inside)
    assert len(Item(whole).signal(8000, Windowing())) == 16000


def test_the_speech_is_the_chosen_channel(write):
    path, [left, right] = write("a.wav", 1000, channels=2)
    np.testing.assert_array_equal(Item(Utterance("x/a", path, index=1)).signal(RATE, Windowing()), right)
    mixed = Item(Utterance("x/a", path)).signal(RATE, Windowing())
    np.testing.assert_allclose(mixed, (left + right) / 2, atol=1e-7)


def beside(egg, shift, samples):
    """What lies beside speech that begins at sample `shift` of the electroglottograph; zeros outside it."""
    place = np.arange(samples) + shift
    return np.where((place >= 0) & (place < len(egg)), egg[np.clip(place, 0, len(egg) - 1)], 0)


@pytest.mark.parametrize("start", [0.0, 0.125, -0.0587, -0.25, 0.7, -1.5])
@pytest.mark.parametrize("length", [9000, 16000, 30000])
def test_a_parallel_file_gives_as_many_samples_as_the_speech(write, start, length):
    path, [speech] = write("speech.wav", 16000)
    egg_path, [egg] = write("egg.wav", length, seed=1)
    utterance = Utterance("x/a", path, channels={"egg": Channel(egg_path, start=start)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # beside -1.5 s lies nothing, which is told
        found = Item(utterance).signal(RATE, Windowing(), "egg")
        np.testing.assert_array_equal(found, beside(egg, round(start * RATE), len(speech)))
        # Windows of it are what cutting the whole gives.
        windowing = Windowing(0.3, tail="keep")
        windows = [item.signal(RATE, windowing, "egg") for item in cut(utterance, windowing)]
    np.testing.assert_array_equal(np.concatenate(windows), found)


def test_a_channel_of_the_same_file_is_sample_by_sample_beside_the_speech(write):
    path, [_, egg] = write("stereo.wav", 40000, channels=2)
    utterance = Utterance("x/a", path, start=0.3, end=1.9, index=0, channels={"egg": Channel(path, 1)})
    np.testing.assert_array_equal(Item(utterance).signal(RATE, Windowing(), "egg"), egg[4800:30400])
    windowing = Windowing(1.0, tail="last")
    found = [item.signal(RATE, windowing, "egg") for item in cut(utterance, windowing)]
    np.testing.assert_array_equal(found, [egg[4800:20800], egg[14400:30400]])


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("stored", [8000, 11025, 44100])
@pytest.mark.parametrize("start", [-0.0587, 0.0, 0.0321])
def test_a_channel_of_another_rate_has_the_length_of_the_speech(write, rate, stored, start):
    path, _ = write("speech.wav", 12345)
    seconds = np.arange(int(0.9 * stored)) / stored
    soundfile.write(path.parent / "egg.wav", 0.5 * np.sin(2 * np.pi * 100 * seconds), stored, subtype="FLOAT")
    utterance = Utterance("x/a", path, channels={"egg": Channel(path.parent / "egg.wav", start=start)})
    for item in [Item(utterance), Item(utterance, 0.1, 0.35007)]:
        speech = item.signal(rate, Windowing())
        found = item.signal(rate, Windowing(), "egg")
        assert len(found) == len(speech)
        moment = item.start + start + np.arange(len(found)) / rate
        inner = slice(300 + max(0, round(-moment[0] * rate)), -300)
        # Either end is rounded to a sample: at 100 Hz, half a sample at 8 kHz is 0.02 of the level.
        np.testing.assert_allclose(found[inner], 0.5 * np.sin(2 * np.pi * 100 * moment[inner]), atol=0.025)


@pytest.mark.parametrize(("rate", "stored"), [(16000, 44100), (8000, 11025), (22050, 16000), (44100, 8000)])
def test_no_sample_of_another_rate_is_missing_at_the_end(write, rate, stored):
    path, _ = write("speech.wav", 16000)
    soundfile.write(path.parent / "egg.wav", np.full(2 * stored, 0.5), stored)
    for number in range(40):
        utterance = Utterance("x/a", path, channels={"egg": Channel(path.parent / "egg.wav", start=number * 0.00123)})
        found = Item(utterance, 0.1, 0.11 + number * 0.0017).signal(rate, Windowing(), "egg")
        assert found.min() > 0.05, "zeros"  # the filter fades at the ends


def test_a_channel_that_lies_elsewhere_is_told(write):
    path, _ = write("speech.wav", 8000)
    egg_path, _ = write("egg.wav", 8000, seed=1)
    for start in (-0.5, 0.5, 3.0):
        utterance = Utterance("x/a", path, channels={"egg": Channel(egg_path, start=start)})
        with pytest.warns(audio.AudioWarning, match="does not overlap with the speech"):
            found = Item(utterance).signal(RATE, Windowing(), "egg")
        np.testing.assert_array_equal(found, np.zeros(8000))


def test_of_a_channel_that_ends_at_once_nothing_is_left_at_the_rate(write):
    path, _ = write("speech.wav", 8000)
    soundfile.write(path.parent / "egg.wav", np.full(9600, 0.5), 96000)
    for samples in range(1, 13):
        egg = Channel(path.parent / "egg.wav", start=0.1 - samples / 96000)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = Item(Utterance("x/a", path, channels={"egg": egg})).signal(RATE, Windowing(), "egg")
        assert len(found) == 8000
        assert bool(caught) == (not found.any())


def test_a_channel_that_is_not_there():
    utterance = Utterance("x/a", Path("a.wav"), channels={"egg": Channel(Path("b.wav"))})
    with pytest.raises(UserError, match="x/a: no channel 'eeg'; it has: speech, egg"):
        Item(utterance).channel("eeg")
    assert Item(utterance).channel("egg") == Channel(Path("b.wav"))


@pytest.mark.corpora
def test_every_egg_of_tava_is_as_long_as_its_speech(recordings):
    corpus = corpora.load("tava", recordings / "tava")
    before = behind = 0
    for utterance in corpus.utterances:
        speech = Item(utterance).signal(RATE, Windowing())
        found = Item(utterance).signal(RATE, Windowing(), "egg")
        egg, rate = audio.read(utterance.channels["egg"].path)
        shift = round(utterance.channels["egg"].start * RATE)
        assert rate == RATE
        np.testing.assert_array_equal(found, beside(egg, shift, len(speech)), err_msg=utterance.id)
        before += shift < 0
        behind += shift + len(speech) > len(egg)
    assert len(corpus) == 352
    assert before == 12
    assert behind == 13  # two of them by a millisecond


def test_ids_are_unique():
    utterance = Utterance("emodb/03a01Fa", Path("a.wav"))
    assert Item(utterance).id == "emodb/03a01Fa"
    assert Item(utterance, 0.0, 4.0).id == "emodb/03a01Fa[0-4]"
    assert Item(utterance, 0.0, 4.0, "noise").id == "emodb/03a01Fa[0-4]+noise"
    assert Item(utterance, copy="noise").id == "emodb/03a01Fa+noise"
    day = [Item(utterance, start, end) for start, end in Windowing(0.05).windows(3600 * 24.0)[-30000:]]
    everything = copies(day, ["noise", "shift"], seed=0)
    assert len({item.id for item in everything}) == len(everything) == 90000


def test_copies_follow_the_originals():
    originals = [Item(Utterance(f"x/{name}", Path(f"{name}.wav")), 0.5, 1.5) for name in "ab"]
    made = copies(originals, ["noise", "shift"], seed=7)
    assert made[:2] == originals
    assert [item.id for item in made[2:]] == [
        "x/a[0.5-1.5]+noise",
        "x/b[0.5-1.5]+noise",
        "x/a[0.5-1.5]+shift",
        "x/b[0.5-1.5]+shift",
    ]
    assert {item.seed for item in made[2:]} == {7}
    assert copies(originals, [], seed=7) == originals
    with pytest.raises(UserError, match="copies: 'noise' is listed 2 times"):
        copies(originals, ["noise", "shift", "noise"], seed=7)


def utterances():
    emotions = ["anger", "calm", "anger", "happiness", "excitement", None]
    made = []
    for number, emotion in enumerate(emotions):
        made.append(
            Utterance(
                f"{'x' if number < 3 else 'y'}/{number}",
                Path(f"{number}.wav"),
                speaker=f"x/{number % 2}",
                sex=["female", "male"][number % 2],
                targets={"valence": number / 10, **({"emotion": emotion} if emotion else {})},
                attributes={"session": number // 2, **({"style": "acted"} if number else {})},
            )
        )
    return made


def names(chosen, target="emotion"):
    return [(utterance.id, utterance.targets[target]) for utterance in chosen]


def test_select_leaves_out_what_has_no_label_and_keeps_the_order():
    assert names(select(utterances(), "emotion")) == [
        ("x/0", "anger"),
        ("x/1", "calm"),
        ("x/2", "anger"),
        ("y/3", "happiness"),
        ("y/4", "excitement"),
    ]


def test_select_maps_and_drops_before_it_chooses():
    mapping = {"excitement": "happiness", "calm": "drop"}
    merged = select(iter(utterances()), "emotion", mapping=mapping)
    assert names(merged) == [("x/0", "anger"), ("x/2", "anger"), ("y/3", "happiness"), ("y/4", "happiness")]
    chosen = select(utterances(), "emotion", ["happiness"], mapping)
    assert names(chosen) == [("y/3", "happiness"), ("y/4", "happiness")]
    assert chosen[0].targets["valence"] == 0.3  # other targets stay
    assert utterances()[4].targets["emotion"] == "excitement"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"style": "acted"}, ["x/1", "x/2", "y/3", "y/4"]),
        ({"session": [0, 2]}, ["x/0", "x/1", "y/4"]),
        ({"session": (1,), "sex": "male"}, ["y/3"]),
        ({"corpus": "x"}, ["x/0", "x/1", "x/2"]),
        ({"id": "x/1"}, ["x/1"]),
        ({"speaker": "x/0"}, ["x/0", "x/2", "y/4"]),
    ],
)
def test_select_by_attribute_and_property(where, expected):
    assert [utterance.id for utterance in select(utterances(), "emotion", where=where)] == expected


def test_any_target_can_be_learned():
    numbers = select(utterances(), "valence", classes=["is not asked for numbers"])
    assert [value for _, value in names(numbers, "valence")] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    speakers = select(utterances(), "speaker", ["x/1"])
    assert names(speakers, "speaker") == [("x/1", "x/1"), ("y/3", "x/1"), ("y/5", "x/1")]
    both = select(select(utterances(), "emotion", ["anger"]), "sex", mapping={"female": "f"})
    assert [(u.targets["emotion"], u.targets["sex"]) for u in both] == [("anger", "f"), ("anger", "f")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "emotoin"}, "none of 6 utterances is left with target 'emotoin'. Targets: emotion, valence"),
        (
            {"where": {"style": "improvised"}},
            "with target 'emotion', where = {'style': 'improvised'}. Targets: emotion, valence",
        ),
        ({"mapping": dict.fromkeys(["anger", "calm", "happiness", "excitement"], "drop")}, "map = {'anger': 'drop'"),
        ({"classes": []}, "classes = []"),
        ({"classes": ["angre"]}, "unknown class 'angre'. Did you mean 'anger'? Available: anger, calm, excitement"),
        ({"where": {"stile": "acted"}}, "unknown attribute 'stile'. Did you mean 'style'? Available: corpus, id, "),
    ],
)
def test_a_selection_that_leaves_nothing_says_why(options, message):
    with pytest.raises(UserError) as caught:
        select(utterances(), **{"target": "emotion", **options})
    assert message in str(caught.value)


def test_labels():
    first = utterances()[0]
    assert (label(first, "emotion"), label(first, "valence"), label(first, "sex")) == ("anger", 0.0, "female")
    assert label(first, "speaker") == "x/0"
    assert label(first, "path") is None
    assert label(utterances()[5], "emotion") is None
    own = Utterance("x/a", Path("a.wav"), speaker="x/1", targets={"speaker": "renamed"})
    assert items.label(own, "speaker") == "renamed"


def crowd():
    """60 utterances: 20 of each of two classes in `x`, 10 of each in `y`."""
    return [
        Utterance(f"{corpus}/{name}{number:02}", Path("a.wav"), targets={"emotion": name})
        for corpus, count in (("x", 20), ("y", 10))
        for name in ("anger", "neutral")
        for number in range(count)
    ]


def counted(utterances):
    found = {}
    for utterance in utterances:
        key = (utterance.corpus, utterance.targets["emotion"])
        found[key] = found.get(key, 0) + 1
    return found


def test_so_many_of_each_class_are_drawn():
    everyone = crowd()
    found = draw(everyone, "emotion", {"x": {"neutral": 5, "*": 3}, "z": {"*": 1}}, 0)
    assert counted(found) == {("x", "anger"): 3, ("x", "neutral"): 5, ("y", "anger"): 10, ("y", "neutral"): 10}
    assert found == [utterance for utterance in everyone if utterance in found]
    assert counted(draw(everyone, "emotion", {"y": {"anger": 0}}, 0)) == {
        ("x", "anger"): 20,
        ("x", "neutral"): 20,
        ("y", "neutral"): 10,
    }
    assert draw(everyone, "emotion", {}, 0) == everyone


def test_the_draw_depends_on_the_seed_and_not_on_the_order_nor_on_others():
    numbers, everyone = {"x": {"*": 5}}, crowd()
    found = {utterance.id for utterance in draw(everyone, "emotion", numbers, 0)}
    assert {utterance.id for utterance in draw(everyone[::-1], "emotion", numbers, 0)} == found
    alone = draw([u for u in everyone if u.corpus == "x"], "emotion", numbers, 0)
    assert {utterance.id for utterance in alone} == {name for name in found if name.startswith("x/")}
    assert {utterance.id for utterance in draw(everyone, "emotion", numbers, 1)} != found
    # Classes are drawn apart: not the same places of each.
    places = {name: {u.id[-2:] for u in alone if u.targets["emotion"] == name} for name in ("anger", "neutral")}
    assert places["anger"] != places["neutral"]


def test_no_more_can_be_drawn_than_there_are():
    with pytest.raises(UserError, match=r"data\.sample: y has 10 utterances of 'anger', but 11 are required"):
        draw(crowd(), "emotion", {"y": {"anger": 11}}, 0)


def test_copies_in_place_of_originals():
    originals = [Item(utterance) for utterance in crowd()]
    found = replaced(originals, "noise", ["x"], 1.0, 7)
    assert [item.utterance for item in found] == [item.utterance for item in originals]
    assert {(item.utterance.corpus, item.copy, item.seed) for item in found} == {("x", "noise", 7), ("y", None, 0)}
    assert {item.copy for item in replaced(originals, "noise", [], 1.0, 7)} == {"noise"}
    assert replaced(originals, "noise", [], 0.0, 7) == originals
    # A copy stays the copy it is.
    copied = [Item(utterance, copy="shift") for utterance in crowd()]
    assert replaced(copied, "noise", [], 1.0, 7) == copied


def test_a_share_is_replaced_whatever_else_there_is():
    originals = [Item(Utterance(f"x/{number}", Path("a.wav"))) for number in range(1000)]
    found = replaced(originals, "noise", [], 0.3, 0)
    assert 250 < sum(item.copy is not None for item in found) < 350
    assert replaced(originals[500:], "noise", [], 0.3, 0) == found[500:]
    assert [item.copy for item in replaced(originals, "noise", [], 0.3, 1)] != [item.copy for item in found]
    # All windows of an utterance share its fate.
    windows = [Item(item.utterance, start, start + 1) for item in originals[:50] for start in (0, 1)]
    fate = [item.copy for item in replaced(windows, "noise", [], 0.5, 0)]
    assert fate[::2] == fate[1::2]


def test_several_targets_of_which_one_is_enough():
    utterances = [
        Utterance("x/0", Path("0.wav"), targets={"emotion": "anger", "valence": 0.1}),
        Utterance("x/1", Path("1.wav"), targets={"emotion": "serene", "valence": 0.2}),
        Utterance("x/2", Path("2.wav"), targets={"valence": 0.3}),
        Utterance("x/3", Path("3.wav"), targets={"emotion": "fear"}),
        Utterance("x/4", Path("4.wav"), targets={"emotion": "serene"}),
        Utterance("x/5", Path("5.wav"), targets={"emotion": "joy", "arousal": 0.0}),
    ]
    chosen = items.select_any(utterances, ["emotion", "valence"], ["anger", "fear"], {"serene": "drop"})
    found = [(u.id, dict(u.targets)) for u in chosen]
    assert found == [
        (utterances[0].id, {"emotion": "anger", "valence": 0.1}),
        (utterances[1].id, {"valence": 0.2}),
        (utterances[2].id, {"valence": 0.3}),
        (utterances[3].id, {"emotion": "fear"}),
    ]
    where = {"id": [utterances[1].id, utterances[3].id]}
    assert [u.id for u in items.select_any(utterances, ["emotion", "valence"], where=where)] == where["id"]


def test_copies_with_options_have_ids_of_their_own(noise, tmp_path):
    noise(tmp_path / "a.wav")
    item = Item(Utterance("c/a", tmp_path / "a.wav", "c", {"emotion": "joy"}))
    texts = ["noise", augment.describe("noise", {"low": 0.0, "high": 5})]
    made = copies([item], texts, seed=1)
    assert [copy.id for copy in made] == ["c/a", "c/a+noise", "c/a+noise{ high = 5, low = 0.0 }"]
    for copy in made:
        assert utterance_id(copy.id) == "c/a"
    assert augment.build(texts[1]) == augment.Noise(0.0, 5)
