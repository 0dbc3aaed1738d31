"""Given segments over the network."""

import pytest

RTTM = b"SPEAKER noise 1 0.1 0.5 <NA> <NA> A <NA> <NA>\nSPEAKER noise 1 0.9 9 <NA> <NA> B <NA> <NA>\n"


def post(client, sound, segments=("turns.rttm", RTTM), parameters=""):
    files = {"file": ("noise.wav", sound()), "segments": segments}
    return client.post(f"/v1/segments{parameters}", files=files)


def test_each_segment_has_an_answer(client, sound, toy, tmp_path):
    from serkit import audio
    from serkit.recognition import load

    (tmp_path / "turns.rttm").write_bytes(RTTM)
    answer = post(client, sound)
    assert answer.status_code == 200
    expected = load(toy).predict_segments(audio.InMemory(sound(), "noise.wav"), tmp_path / "turns.rttm").to_dict()
    found = answer.json()
    assert found["segments"] == expected["segments"]
    assert found["speakers"] == ["A", "B"]
    assert "end after the recording" in found["warnings"][0]


def test_other_formats_and_errors(client, sound):
    answer = post(client, sound, parameters="?format=srt")
    assert answer.text.startswith("1\n00:00:00,100 --> 00:00:00,600\nA: ")
    assert post(client, sound, ("turns.exe", b"")).json()["error"].startswith("turns.exe: is not a file of segments")
    assert "cannot adapt" in post(client, sound, parameters="?adapt_speakers=true").json()["error"]
    bad = post(client, sound, ("t.csv", b"start,end\n3,3\n"))
    assert bad.json()["segments"] == [
        {"start": 3.0, "end": 3.0, "error": "the end must be after the start, got 3 to 3"}
    ]


@pytest.mark.parametrize("request_of", [{"content": b"RIFF"}, {"files": {"file": ("a.wav", b"RIFF")}}])
def test_segments_are_required(client, request_of):
    answer = client.post("/v1/segments", **request_of)
    assert answer.status_code == 400
    assert "one field 'segments'" in answer.json()["error"]


def test_segments_are_for_their_endpoint(client, sound):
    files = {"file": ("noise.wav", sound()), "segments": ("turns.rttm", RTTM)}
    assert client.post("/v1/timeline", files=files).status_code == 400


def test_too_many_segments(client, sound):
    rows = b"start,end\n" + b"0,1\n" * 10_001
    assert "the maximum is 10000" in post(client, sound, ("t.csv", rows)).json()["error"]
