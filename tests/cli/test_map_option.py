from serkit.cli.evaluate import parse_map


def test_labels_to_be_renamed_are_cleaned():
    assert parse_map(["mu\u0308de=cal\u200bm", " very\u00a0happy = joy"]) == {"müde": "calm", "very happy": "joy"}
