import pytest

from serkit import emotions
from serkit.emotions import aliases, canonical, choose, is_known, merge
from serkit.errors import UserError


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Angry", "anger"),
        (" WUT ", "anger"),
        ("ps", "surprise"),
        ("pleasant surprise", "surprise"),
        ("happy", "happiness"),
        ("angst", "fear"),
        ("contemputeous", "contempt"),
        ("Annoyed", "annoyed"),
        ("neutral", "neutral"),
    ],
)
def test_labels_of_corpora(label, name):
    assert canonical(label) == name


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("anger", ["Wut", "Ärger", "aerger", "COLÈRE", "colere", "rabbia", "enojo", "raiva", "złość", "ZLOSC", "boos"]),
        ("anger", ["гнев", "злость", "愤怒", "憤怒", "분노", "怒り"]),
        (
            "happiness",
            ["Freude", "fröhlich", "joie", "felicità", "felicita", "alegría", "felicidade", "radość", "blij"],
        ),
        ("happiness", ["радость", "счастье", "高兴", "快樂", "기쁨", "喜び"]),
        (
            "sadness",
            ["Trauer", "traurig", "Tristesse", "tristezza", "tristeza", "smutek", "verdriet", "грусть", "печаль"],
        ),
        ("sadness", ["triste", "悲伤", "悲傷", "슬픔", "悲しみ"]),
        (
            "fear",
            ["Angst", "Furcht", "peur", "paura", "miedo", "medo", "strach", "lęk", "bang", "страх", "恐惧", "두려움"],
        ),
        (
            "disgust",
            ["Ekel", "dégoût", "degout", "disgusto", "asco", "nojo", "wstręt", "walging", "отвращение", "厌恶"],
        ),
        ("disgust", ["혐오", "嫌悪"]),
        ("surprise", ["Überraschung", "UEBERRASCHUNG", "surpris", "sorpresa", "surpresa", "zaskoczenie", "verrassing"]),
        ("surprise", ["удивление", "惊讶", "놀람", "驚き", "Pleasant-Surprise"]),
        (
            "neutral",
            ["Neutral", "neutre", "neutro", "neutrale", "neutralny", "neutraal", "нейтральный", "中性", "중립"],
        ),
        ("boredom", ["Langeweile", "ennui", "noia", "aburrimiento", "tédio", "nuda", "verveling", "скука", "지루함"]),
        ("calm", ["ruhig", "calme", "calma", "tranquilidad", "spokój", "rustig", "спокойствие", "平静", "차분함"]),
    ],
)
def test_labels_in_twelve_languages(name, labels):
    assert {label: canonical(label) for label in labels} == dict.fromkeys(labels, name)


def test_every_emotion_has_a_word_in_every_language():
    languages = {"en", "de", "fr", "it", "es", "pt", "pl", "nl", "ru", "zh", "ko", "ja"}
    for name, by_language in aliases().items():
        assert set(by_language) == languages and all(by_language.values()), name


@pytest.mark.parametrize("label", ["annoyed", "genervt", "drop", "yes", "0", "", "grief"])
def test_other_labels_stay_as_they_are(label):
    assert canonical(label) == label and not is_known(label)


def test_every_spelling_belongs_to_one_name():
    spellings: dict[str, set[str]] = {}
    for name, by_language in aliases().items():
        for spelling in [name, *(alias for words in by_language.values() for alias in words)]:
            assert spelling == spelling.strip().lower(), "canonical() would never find it"
            for written in (spelling, emotions._plain(spelling)):
                spellings.setdefault(written, set()).add(name)
            assert canonical(spelling) == canonical(spelling.upper()) == name
    assert {spelling: names for spelling, names in spellings.items() if len(names) > 1} == {}


def test_merging_renames_once_and_drops():
    mapping = {"excitement": "happiness", "happiness": "joy", "calm": "drop"}
    assert merge("excitement", mapping) == "happiness"
    assert merge("calm", mapping) is None
    assert merge("anger", mapping) == "anger"


def test_choosing_classes():
    available = ["sadness", "anger", "sadness", "fear"]
    assert choose(available, "all") == ["anger", "fear", "sadness"]
    assert choose(available, ["sadness", "anger"]) == ["anger", "sadness"]
    assert choose(available, ["sadness", "anger", "sadness"]) == ["anger", "sadness"]
    assert choose(available, "fear") == ["fear"]
    with pytest.raises(
        UserError, match=r"unknown class 'angr'. Did you mean 'anger'\? Available: anger, fear, sadness"
    ):
        choose(available, ["angr"])


def test_a_class_called_drop_is_a_class_like_any_other():
    assert merge("drop", {}) == merge("drop", {"calm": "drop"}) == merge("drop", {"drop": "drop"}) == "drop"
    assert merge("drop", {"drop": "fall"}) == "fall"
    assert merge("calm", {"calm": "drop", "drop": "drop"}) is None
