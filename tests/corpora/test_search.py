import unicodedata
from pathlib import Path

import pytest

from serkit import finding
from serkit.corpora.corpus import Facts, Utterance
from serkit.corpora.search import UNREAD, collect, companion, recordings
from serkit.errors import UserError

FACTS = Facts("x", "X", None, "", "", "")


def test_recordings_are_found_at_any_depth_with_any_suffix_in_the_order_of_their_paths(tree):
    root = tree("b/two.FLAC", "a.wav", "b/c/three.ogg")
    (root / "notes.txt").write_text("no sound")
    assert [path.relative_to(root).as_posix() for path in recordings(root)] == [
        "a.wav",
        "b/c/three.ogg",
        "b/two.FLAC",
    ]


def test_hidden_files_and_folders_are_left_out(tree):
    root = tree("a.wav", "._a.wav", ".trash/b.wav", "__MACOSX/c.wav")
    assert [path.name for path in recordings(root)] == ["a.wav"]


def test_links_to_folders_are_followed_but_not_in_circles(tree, tmp_path_factory):
    root, elsewhere = tree("a/1.wav", "b/2.wav"), tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "3.wav").write_bytes(b"")
    (root / "c").symlink_to(elsewhere, target_is_directory=True)
    for link, target in (("a/up", root.parent), ("a/other", root / "b"), ("b/other", root / "a")):
        (root / link).symlink_to(target, target_is_directory=True)
    found = recordings(root)
    assert [path.relative_to(root).as_posix() for path in found] == ["a/1.wav", "b/2.wav", "c/3.wav"]
    assert set(found.passed_over) == {"a/up", "a/other", "b/other"}


def test_a_file_is_no_folder(tree):
    with pytest.raises(UserError, match=r"a\.wav: is a file"):
        recordings(tree("a.wav") / "a.wav")


def test_collect_sorts_keeps_the_first_of_two_and_says_why_others_are_left_out(tree):
    root = tree("z/a.wav", "b.wav", "a.flac", "odd.wav")

    def parse(path):
        return "odd name" if path.stem == "odd" else Utterance(f"x/{path.stem}", path)

    corpus = collect(FACTS, root, recordings(root), parse)
    assert [(utterance.id, utterance.path.name) for utterance in corpus.utterances] == [
        ("x/a", "a.flac"),
        ("x/b", "b.wav"),
    ]
    assert corpus.skipped == {"odd.wav": "odd name", "z/a.wav": "second file of x/a; kept a.flac"}


def test_predict_and_corpora_find_the_same_files(tree, tmp_path_factory):
    root, elsewhere = tree("b/2.wav", "a/1.flac", ".x/3.wav", "b/.4.wav"), tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "5.wav").write_bytes(b"")
    (root / "a" / "5.xyz").write_bytes(b"")
    (root / "link").symlink_to(elsewhere)
    (root / "b" / "loop").symlink_to(root)
    found = finding.find([str(root)])
    assert [str(path) for path in recordings(root)] == list(found.files)
    assert dict(recordings(root).passed_over) == {
        Path(path).relative_to(root).as_posix(): reason for path, reason in found.passed_over.items()
    }


def parse_all(path):
    return Utterance(f"x/{path.stem}", path, targets={"emotion": path.parent.name})


def test_a_class_whose_files_are_all_of_an_unknown_format_does_not_vanish_in_silence(tree):
    root = tree("joy/a.wav", "joy/b.wav")
    for name in ("angry/c.xyz", "angry/d.xyz", "joy/b.xyz", "joy/e.bin", "angry/c.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    corpus = collect(FACTS, root, recordings(root), parse_all)
    # b.xyz lies beside b.wav, and texts lie beside anything.
    assert corpus.skipped == dict.fromkeys(["angry/c.xyz", "angry/d.xyz", "joy/e.bin"], UNREAD)
    assert corpus.cautions == (
        "3 recordings skipped, in unsupported formats (.xyz 2, .bin 1); no recording remains of emotion 'angry'",
    )


def test_files_that_do_not_fit_the_naming_are_not_missed(tree):
    root = tree("a.wav")
    (root / "a.wdseg").write_bytes(b"")
    (root / "notes.wdseg").write_bytes(b"")

    def parse(path):
        return "odd name" if path.stem == "notes" else parse_all(path)

    corpus = collect(FACTS, root, recordings(root), parse)
    assert not corpus.skipped and not corpus.cautions and len(corpus.passed_over) == 2


def test_ids_do_not_depend_on_the_unicode_form(tree):
    names = [unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD")]
    first = collect(FACTS, tree(f"1/{names[0]}.wav") / "1", recordings(tree() / "1"), parse_all)
    second = collect(FACTS, tree(f"2/{names[1]}.wav") / "2", recordings(tree() / "2"), parse_all)
    assert [u.id for u in first.utterances] == [u.id for u in second.utterances] == [f"x/{names[0]}"]


def test_a_video_gives_way_to_the_sound_beside_it(tmp_path):
    for name in ("a.mp4", "a.wav", "b.m4a", "b.MKV", "c.webm"):
        (tmp_path / name).touch()
    corpus = collect(FACTS, tmp_path, recordings(tmp_path), lambda path: Utterance(f"x/{path.stem}", path))
    assert [utterance.path.name for utterance in corpus.utterances] == ["a.wav", "b.MKV", "c.webm"]
    assert corpus.skipped == {
        "a.mp4": "second file of x/a; kept a.wav",
        "b.m4a": "second file of x/b; kept b.MKV",
    }


@pytest.mark.parametrize("place", ["corpus/list.csv", "corpus/deep/list.csv", "list.csv"])
def test_companion_looks_in_below_and_beside(tmp_path, place):
    (tmp_path / "corpus/deep").mkdir(parents=True)
    (tmp_path / place).write_text("")
    assert companion(tmp_path / "corpus", "list.csv") == tmp_path / place


def test_companion_is_not_looked_for_in_hidden_folders(tmp_path):
    for place in (".Trash", "__MACOSX"):
        (tmp_path / "corpus" / place).mkdir(parents=True)
        (tmp_path / "corpus" / place / "list.csv").write_text("")
    assert companion(tmp_path / "corpus", "list.csv") is None


def test_companion_may_be_absent(tmp_path):
    (tmp_path / "corpus").mkdir()
    assert companion(tmp_path / "corpus", "list.csv") is None
