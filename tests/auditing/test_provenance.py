from serkit.auditing.provenance import Used, trace
from serkit.protocols.splits import Split

used = Used.model_validate
SPLIT = Split("fold", ("t/1", "t/2"), ("t/3",), ("t/4", "t/5"))
CLEAN = {
    "name": "main",
    "items": ["t/1", "t/2[0-4]+noise"],
    "normalised_on": {"speech": ["t/1"]},
    "selected_on": ["t/3"],
}


def found(**changes):
    return [(each.kind, each.severity, each.message) for each in trace(SPLIT, [used({**CLEAN, **changes})])]


def test_a_stage_that_saw_nothing_of_the_test_part_is_clean():
    assert found() == []
    assert trace(SPLIT, []) == []


def test_a_normalisation_fitted_on_all_data_is_a_leak():
    (finding,) = trace(SPLIT, [used({**CLEAN, "normalised_on": {"speech": ["t/1", "t/3", "t/4", "t/5+noise"]}})])
    assert (finding.kind, finding.severity, finding.ids) == ("normalisation", "leak", ("t/4", "t/5"))
    assert finding.message == "view 'speech' of stage 'main' is normalized by 2 of 2 test utterances"


def test_training_and_selection_on_the_test_part_are_leaks():
    assert found(items=["t/1", "t/5[2-4]"], selected_on=["t/4"]) == [
        ("training", "leak", "stage 'main' was trained on 1 of 2 test utterances"),
        ("selection", "leak", "stage 'main' was chosen by 1 of 2 test utterances"),
    ]


def test_names_of_files_that_look_like_windows_and_copies_are_kept_apart():
    split = Split("fold", ("t/a[1]", "t/b+fast"), (), ("t/a[2]", "t/b+slow"))
    seen = {"normalised_on": {"speech": ["t/a[1]"]}, "selected_on": []}
    clean = {"name": "main", "items": ["t/a[1]", "t/a[1][0-4]", "t/a[1]+noise", "t/b+fast[0-4]+noise"], **seen}
    assert trace(split, [used(clean)]) == []
    for item in ("t/a[2]", "t/a[2][0-4]", "t/a[2]+coloured_noise"):
        (finding,) = trace(split, [used({**clean, "items": [item]})])
        assert (finding.kind, finding.ids) == ("training", ("t/a[2]",))


def test_what_is_not_written_down_is_told():
    message = "what was used to normalize and choose is not recorded for stage main"
    assert found(normalised_on={"speech": None}) == [("unknown training", "caution", message)]
    old = {"name": "main", "items": ["t/1"]}
    assert [each.kind for each in trace(SPLIT, [used(old)])] == ["unknown training"]
