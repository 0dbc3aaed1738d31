import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import pytest

from serkit import audio, finding
from serkit.finding import PassedOver, find

NFC, NFD = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write empty files below the current folder; `a -> b` makes a link."""
    monkeypatch.chdir(tmp_path)

    def write(*names):
        for name in names:
            name, _, target = name.partition(" -> ")
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if target:
                path.symlink_to(target)
            else:
                path.write_bytes(b"")

    return write


def files(*paths):
    return [path.replace(os.sep, "/") for path in find(paths).files]


def reasons(*paths):
    return {path.replace(os.sep, "/"): reason for path, reason in find(paths).passed_over.items()}


def test_folders_are_searched_with_all_below_them_in_the_order_of_names(make):
    make("d/b/c/3.ogg", "d/b/2.FLAC", "d/10.wav", "d/9.wav", "d/a.wav", "d/b.wav", "other/x.wav")
    assert files("d") == ["d/10.wav", "d/9.wav", "d/a.wav", "d/b.wav", "d/b/2.FLAC", "d/b/c/3.ogg"]
    assert files("other", "d/b") == ["other/x.wav", "d/b/2.FLAC", "d/b/c/3.ogg"]
    assert files(".")[0] == "./d/10.wav"


HIDDEN = [
    ".Trash",
    ".ipynb_checkpoints",
    "__MACOSX",
    "$RECYCLE.BIN",
    "@eaDir",
    "lost+found",
    "System Volume Information",
]


@pytest.mark.parametrize("folder", HIDDEN)
@pytest.mark.parametrize("argument", ["d", "d/**", "d/**/*.wav", "d/*/*.wav"])
def test_hidden_folders_are_passed_over_and_named(make, folder, argument):
    make("d/x/1.wav", f"d/{folder}/2.wav", f"d/{folder}/deep/3.wav", "d/x/.4.wav", "d/x/._1.wav")
    found = find([argument])
    assert [path.replace(os.sep, "/") for path in found.files] == ["d/x/1.wav"]
    assert found.summary() == f"skipped 1 hidden file (.4.wav); 1 hidden or system folder ({folder})"


def test_a_hidden_folder_that_is_named_is_searched(make):
    make("d/.data/1.wav", "d/.data/.more/2.wav", "d/y.wav")
    assert files("d/.data") == files("d/.d*") == files("d/.data/*.wav") == ["d/.data/1.wav"]


def test_linked_folders_are_followed_once_and_never_in_circles(make):
    make("d/a/1.wav", "d/b/2.wav", "elsewhere/3.wav", "d/a/b -> ../b", "d/b/a -> ../a", "d/a/self -> .", "d/up -> ..")
    make("d/one -> ../elsewhere", "d/two -> ../elsewhere", "elsewhere/back -> ../d", "elsewhere/higher -> ..")
    expected = ["d/a/1.wav", "d/b/2.wav", "d/one/3.wav"]
    assert files("d") == files("d/**") == files("d/**/*.wav") == files("d/**/") == files("d/*") == expected
    assert set(reasons("d").values()) == {PassedOver.second_name}
    assert "d/two" in reasons("d") and "d/up" in reasons("d")


def test_two_links_to_one_folder_that_holds_more(make):
    make("ext/a/1.wav", "ext/2.wav", "d/first -> ../ext/a", "d/second -> ../ext")
    assert files("d") == ["d/first/1.wav", "d/second/2.wav"]


def test_a_file_goes_by_its_own_name_rather_than_that_of_a_link(make):
    make("d/z/1.wav", "d/a.wav -> z/1.wav", "d/b -> z")
    assert files("d") == ["d/z/1.wav"]
    assert reasons("d") == {"d/a.wav": PassedOver.second_name, "d/b": PassedOver.second_name}
    assert find(["d"]).summary() == "skipped 2 second names of files already found (a.wav, b)"


def test_links_to_files_elsewhere_are_found_under_the_first_name(make):
    make("store/abc.wav", "d/1.wav -> ../store/abc.wav", "d/2.wav -> ../store/abc.wav")
    assert files("d") == ["d/1.wav"]


def test_hard_links_are_files_of_their_own(make):
    make("d/1.wav")
    os.link("d/1.wav", "d/2.wav")
    assert files("d") == ["d/1.wav", "d/2.wav"]


def test_overlapping_arguments_find_each_file_once_and_say_nothing(make):
    make("d/1.wav", "d/x/2.wav")
    found = find(["d/x", "d/1.wav", "d", "./d/1.wav", "d/**/*.wav", os.path.abspath("d")])
    assert list(found.files) == ["d/x/2.wav", "d/1.wav"] and not found.passed_over and not found.problems
    make("d/link.wav -> 1.wav")
    assert reasons("d/link.wav", "d/1.wav") == {"d/1.wav": PassedOver.second_name}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", ["a.wav", "d/b.wav", "d/e/c.wav"]),
        ("**/*.wav", ["a.wav", "d/b.wav", "d/e/c.wav"]),
        ("./**/*.wav", ["./a.wav", "./d/b.wav", "./d/e/c.wav"]),
        ("*.wav", ["a.wav"]),
        ("*", ["a.wav", "d/b.wav", "d/e/c.wav"]),
        ("?/*.wav", ["d/b.wav"]),
        ("d/**/c.wav", ["d/e/c.wav"]),
        ("**/e", ["d/e/c.wav"]),
        ("**/[bc].wav", ["d/b.wav", "d/e/c.wav"]),
        ("[d]/*", ["d/b.wav", "d/e/c.wav"]),
        ("**/**/c.wav", ["d/e/c.wav"]),
        ("*/", ["d/b.wav", "d/e/c.wav"]),
    ],
)
def test_patterns(make, pattern, expected):
    make("a.wav", "d/b.wav", "d/e/c.wav", "d/n.txt")
    assert files(pattern) == expected


def test_absolute_patterns(make, tmp_path):
    make("a.wav", "d/b.wav")
    assert find([str(tmp_path / "**" / "*.wav")]).files == [str(tmp_path / "a.wav"), str(tmp_path / "d" / "b.wav")]


def test_names_that_look_like_patterns_are_names_first(make):
    make("take[1].wav", "take1.wav", "d[2]/x.wav")
    assert files("take[1].wav", "d[2]") == ["take[1].wav", "d[2]/x.wav"]


def test_any_suffix_is_tried_where_it_is_named(make):
    make("d/1.xyz", "d/2.wav", "d/noend", "d/3.txt")
    assert files("d/1.xyz", "d/noend") == ["d/1.xyz", "d/noend"]
    assert files("d/*.xyz") == files("**/*.xyz") == ["d/1.xyz"]
    # A pattern that does not name one takes recordings.
    assert files("d/*") == files("d/*.*") == ["d/2.wav"]
    assert not reasons("d/*", "d/1.xyz", "d/noend", "d/3.txt")


def test_other_formats_are_counted_unless_they_are_companions(make):
    make("d/1.wav", "d/1.txt", "d/labels.csv", "d/README", "d/cover.JPG")
    found = find(["d"])
    assert len(found.passed_over) == 4 and found.summary() == ""
    make("d/2.xyz", "d/x/3.XYZ", "d/4.bin")
    assert find(["d"]).summary() == (
        "skipped 7 files in other formats (.xyz 2, .bin 1, .csv 1, .jpg 1, .txt 1, no suffix 1)"
    )


def test_what_stands_for_no_recording_says_why(make):
    make("empty/.keep", "texts/1.txt", "texts/2.xyz", "gone.wav -> nowhere.wav", "a.wav")
    looked = f"contains no recording; looked for {', '.join(sorted(audio.SUFFIXES))}"
    problems = find(["empty", "texts", "none.wav", "*.none", "a.wav/b", "gone.wav", "x" * 300, "nul\0.wav"]).problems
    assert problems["empty"] == looked
    assert problems["texts"].startswith(looked)
    assert problems["texts"].endswith("; skipped 2 files in other formats (.txt 1, .xyz 1)")
    assert problems["*.none"] == "no recording matches"
    assert problems["none.wav"] == problems["a.wav/b"] == problems["x" * 300] == problems["nul\0.wav"] == finding.NONE
    assert problems["gone.wav"] == "is a link to a file that does not exist"


def test_broken_links_in_a_folder_are_found_so_that_somebody_reports_them(make):
    make("d/1.wav -> nowhere.wav", "d/2.wav -> 2.wav")
    assert files("d") == ["d/1.wav", "d/2.wav"]


@pytest.mark.parametrize(("written", "asked"), [(NFC, NFD), (NFD, NFC)])
def test_names_that_differ_only_in_unicode_form_match(make, written, asked):
    make(f"{written}/{written}.wav", f"{written}/x.wav")
    assert files(f"{asked}/{asked}.wav") == [f"{written}/{written}.wav"]
    assert files(asked) == files(f"{asked}/*.wav") == [f"{written}/{written}.wav", f"{written}/x.wav"]
    expected = [f"{written}/{written}.wav"]
    assert files(f"**/{asked}.w*") == files(f"{asked}/{asked}*") == files(f"*/{asked}.wav") == expected


def test_the_order_does_not_depend_on_the_unicode_form(make):
    make(f"nfc/{NFC}.wav", "nfc/Grz.wav", f"nfd/{NFD}.wav", "nfd/Grz.wav")
    assert [os.path.basename(name)[:3] for name in files("nfc")] == ["Grz", "Grö"]
    assert [unicodedata.normalize("NFC", os.path.basename(name))[:3] for name in files("nfd")] == ["Grz", "Grö"]


def test_on_disk_prefers_the_very_name(make):
    make(f"d/{NFC}.wav")
    if finding.on_disk(f"d/{NFD}.wav") != f"d/{NFC}.wav":
        pytest.skip("this file system does not tell the forms apart")
    make(f"d/{NFD}.wav")
    assert finding.on_disk(f"d/{NFD}.wav") == f"d/{NFD}.wav"
    assert finding.on_disk(f"d/{NFC}.wav") == f"d/{NFC}.wav"
    assert finding.on_disk("d/none.wav") is None and finding.on_disk(f"none/{NFD}.wav") is None


def test_named_finds_other_files_by_the_same_rules(make):
    make("d/b/1.txt", "d/a/2.txt", "d/.x/3.txt", "d/__MACOSX/4.txt", "d/a/.5.txt", "d/a/6.csv", "d/link -> b")
    assert finding.named("d", "*.txt") == ["d/a/2.txt", "d/b/1.txt"]


@pytest.fixture
def as_nobody():
    """Call a function in a folder of its own as a user who is not root, and return its result as JSON has it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)

    def call(function):
        if not hasattr(os, "fork"):
            pytest.skip("needs a system with users")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.chdir(folder)
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                os.write(write, json.dumps(function()).encode())
            finally:
                os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read, "rb") as result:
            return json.loads(result.read())

    call.folder = folder
    yield call
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_what_may_not_be_read_says_so(as_nobody):
    folder = as_nobody.folder
    for name in ("d/ok.wav", "d/secret/1.wav", "d/half/2.wav", "d/half/deep/3.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "d/link").symlink_to("secret/inside")
    (folder / "d/secret").chmod(0)
    (folder / "d/half").chmod(0o444)  # its names may be listed, not what they stand for

    def look():
        return [
            [list(found.files), dict(found.problems)]
            for found in map(find, [["d"], ["d/secret/1.wav"], ["d/**/*.wav"], ["d/secret/*.wav"], ["d/*/1.wav"]])
        ]

    everything, named, pattern, inside, literal = as_nobody(look)
    denied = "cannot be read (Permission denied)"
    for files, problems in (everything, pattern):
        assert "d/ok.wav" in files and problems["d/secret"] == denied
        assert denied in {problems.get("d/half/deep"), problems.get("d/half/2.wav")}
    assert named == [[], {"d/secret/1.wav": denied}]
    assert inside == [[], {"d/secret": denied}]
    assert literal == [[], {"d/half/1.wav": denied, "d/secret/1.wav": denied}]
