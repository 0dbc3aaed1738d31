"""Records: what is read is checked, with one line about the first fault; what is written is what was read."""

import json

import pytest
from pydantic import BaseModel, Field

from serkit.errors import UserError
from serkit.records import Flags, Record, whole


class Inner(BaseModel):
    depth: int = 1
    width: int = 2


class Example(Record):
    name: str
    count: int = 3
    flags: Flags = Field([])
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"example\.json: not JSON"),
        ("[]", r"example\.json: must hold a JSON object, got a list"),
        ('"text"', r"example\.json: must hold a JSON object, got a str"),
        ("null", r"example\.json: must hold a JSON object, got a NoneType"),
        ("{}", r"example\.json: key 'name' is missing"),
        ('{"name": 5}', r"example\.json: name: Input should be a valid string"),
        ('{"name": "a", "count": "many"}', r"example\.json: count: Input should be a valid integer"),
        ('{"name": "a", "flags": 5}', r"example\.json: flags: Input should be a valid list"),
        ('{"name": "a", "flags": [{"kind": "k"}]}', r"example\.json: key 'flags\.0\.severity' is missing"),
        (
            '{"name": "a", "flags": [{"kind": "k", "severity": "dire", "text": "t"}]}',
            r"flags\.0\.severity: Input should",
        ),
        ('{"name": "a", "name": "b"}', r"example\.json: .*appears twice"),
    ],
)
def test_a_broken_or_foreign_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "example.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        Example.load(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def test_a_record_is_written_as_it_was_read_without_unknown_keys(tmp_path):
    written = Example.parse({"name": "a", "later": True}, "memory")
    assert written.count == 3 and written.to_dict() == {"name": "a"}
    written.save(tmp_path / "example.json")
    assert json.loads((tmp_path / "example.json").read_text()) == {"name": "a"}
    assert Example.load(tmp_path / "example.json") == written


def test_texts_of_older_flags_become_flags():
    document = {"name": "a", "flags": ["sentences shared: all", {"kind": "k", "severity": "leak", "text": "t"}]}
    assert [(flag.kind, flag.severity) for flag in Example.parse(document, "").flags] == [
        ("sentence", "note"),
        ("k", "leak"),
    ]


def test_defaults_of_a_model_inside_a_record_are_written_if_it_is_whole():
    assert Example(name="a", inner=Inner(depth=4)).to_dict() == {"name": "a", "inner": {"depth": 4}}
    assert Example(name="a", inner=whole(Inner(depth=4))).to_dict()["inner"] == {"depth": 4, "width": 2}
