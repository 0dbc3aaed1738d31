import pytest

from serkit.corpora.corpus import Facts, Utterance
from serkit.corpora.search import collect, companion, recordings
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
    assert [path.relative_to(root).as_posix() for path in recordings(root)] == [
        "a/1.wav",
        "a/other/2.wav",
        "b/2.wav",
        "b/other/1.wav",
        "c/3.wav",
    ]


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


def test_companion_may_be_absent(tmp_path):
    (tmp_path / "corpus").mkdir()
    assert companion(tmp_path / "corpus", "list.csv") is None
