"""Shards, listings and parts."""

import pytest

from serkit.errors import UserError
from serkit.listing import Listing, lines
from serkit.shards import Shard, parse


def test_shards_are_a_division():
    for total in (0, 1, 5, 10, 23):
        for count in (1, 3, 10):
            shards = [Shard(index, count) for index in range(1, count + 1)]
            assert [i for shard in shards for i in shard.block(total)] == list(range(total))
            assert sorted(i for shard in shards for i in shard.share(range(total))) == list(range(total))


def slurm(task, first, last, count, step=1):
    names = ("ID", "MIN", "MAX", "COUNT", "STEP")
    return {f"SLURM_ARRAY_TASK_{n}": str(v) for n, v in zip(names, (task, first, last, count, step), strict=True)}


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        (slurm(0, 0, 9, 10), Shard(1, 10)),
        (slurm(10, 1, 10, 10), Shard(10, 10)),
        (slurm(7, 5, 9, 5), Shard(3, 5)),
        (slurm(4, 0, 8, 5, 2), Shard(3, 5)),
    ],
)
def test_the_task_of_a_job_array(environment, shard):
    assert parse("slurm", environment) == shard


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/-2", ""])
def test_no_shard(text):
    with pytest.raises(UserError, match=r"^--shard must be I/N"):
        parse(text)


def test_an_array_with_gaps_would_be_other_shards():
    with pytest.raises(UserError, match="2 tasks from 3 to 7"):
        parse("slurm", slurm(3, 3, 7, 2))
    with pytest.raises(UserError, match="requires a job array"):
        parse("slurm", {})


def test_a_listing_is_read_as_it_is_needed(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa.wav\r\n\n \t\ns3://b/c.wav?sig=1\nno\xffutf8.wav\n")
    listing = Listing(lambda: lines(str(path)), str)
    assert listing.total == 3
    assert list(listing.of(Shard(2, 2))) == ["s3://b/c.wav?sig=1", "no\udcffutf8.wav"]
    assert [found for _, found in listing.divided(2)] == [["a.wav"], list(listing.of(Shard(2, 2)))]
    # A signature is not part of a name.
    path.write_bytes(path.read_bytes().replace(b"sig=1", b"sig=2"))
    assert Listing(lambda: lines(str(path)), str).digest == listing.digest
    with pytest.raises(UserError, match="no recording"):
        Listing(list, str)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "lists no recording; write a path or URL per line"),
        (b"\r\n \n", "lists no recording"),
        (b"a.wav\nb.wav\0c.wav\0", "line 2 is no path or URL; --list takes UTF-8 text with one per line"),
        ("a.wav\n".encode("utf-16"), "line 1 is no path or URL"),
        (b"a" * 70_000, "line 1 is no path or URL"),
    ],
)
def test_what_is_no_list(tmp_path, content, told):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"list\.txt: {told}"):
        list(lines(str(path)))


def test_a_list_that_is_no_file_here(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        list(lines(str(tmp_path / "none.txt")))
    with pytest.raises(UserError, match=r"^https://host/list\.txt: --list takes a file of this machine"):
        list(lines("https://me:secret@host/list.txt?signature=1"))
