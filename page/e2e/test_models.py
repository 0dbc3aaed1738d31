"""Two models side by side, and what is written about them."""

import httpx2 as httpx
import pytest
from playwright.sync_api import expect

from conftest import settle


@pytest.fixture
def compared(opened):
    opened.get_by_label("Compare with").select_option("emodb")
    settle(opened)
    return opened


def test_two_models_answer_side_by_side(compared):
    first, second = (compared.get_by_role("region", name=f"{name}: the whole sound") for name in ("default", "emodb"))
    one, other = first.bounding_box(), second.bounding_box()
    assert one["y"] == other["y"] and one["x"] + one["width"] <= other["x"]
    assert compared.get_by_role("listbox").count() == 2
    expect(second.get_by_role("listitem").filter(has_text="boredom")).to_be_visible()


def test_agreement_is_over_the_speech_of_both(compared, server, sounds):
    body = (sounds / "speech.wav").read_bytes()
    first, second = (
        httpx.post(f"{server}/v1/timeline", params={"model": name}, content=body).json()["segments"]
        for name in ("default", "emodb")
    )
    overlaps = [
        (max(0.0, min(a["end"], b["end"]) - max(a["start"], b["start"])), a["label"] == b["label"])
        for a in first
        for b in second
    ]
    share = sum(length for length, same in overlaps if same) / sum(length for length, _ in overlaps)
    expect(compared.locator(".agreement")).to_contain_text(f"agree in {100 * share:.0f} %")


def test_a_model_is_not_compared_with_itself(compared):
    compared.get_by_label("Model", exact=True).select_option("emodb")
    settle(compared)
    assert compared.get_by_role("listbox").count() == 1
    names = compared.get_by_label("Compare with").locator("option").evaluate_all("all => all.map(one => one.value)")
    assert names == ["", "default"]


def test_use_limits_and_card_are_one_click_away(page, server):
    page.get_by_role("button", name="Use and limits").click()
    dialog = page.get_by_role("dialog", name="Use and limits")
    expect(dialog).to_contain_text("Not for decisions about people")
    expect(dialog.get_by_role("heading", name="Training material")).to_be_visible()
    dialog.get_by_label("Card of the model").select_option("emodb")
    [licence] = [model["licence"] for model in httpx.get(f"{server}/v1/models").json() if model["name"] == "emodb"]
    expect(dialog).to_contain_text(licence)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_card_can_hold_no_script(page, server):
    hostile = "# x\n<img src=x onerror=alert(1)>\n\n[link](javascript:alert(1))\n"
    models = httpx.get(f"{server}/v1/models").json()
    page.route("**/v1/models", lambda route: route.fulfill(json=[{**model, "card": hostile} for model in models]))
    page.reload()
    page.get_by_role("button", name="Use and limits").click()
    card = page.get_by_role("article")
    expect(card).to_contain_text("<img src=x")
    assert card.locator("img").count() == 0
    assert card.locator("a").get_attribute("href") == ""


def test_models_are_named_with_language_and_labels(page, server):
    texts = page.get_by_label("Model", exact=True).locator("option").all_inner_texts()
    [emodb] = [model for model in httpx.get(f"{server}/v1/models").json() if model["name"] == "emodb"]
    assert f"emodb: German; {', '.join(emodb['labels'])}" in texts


def test_where_two_models_differ_is_hatched(compared, server, sounds):
    body = (sounds / "speech.wav").read_bytes()
    first, second = (
        httpx.post(f"{server}/v1/timeline", params={"model": name}, content=body).json()["segments"]
        for name in ("default", "emodb")
    )
    both = [
        (a["label"], b["label"]) for a in first for b in second if max(a["start"], b["start"]) < min(a["end"], b["end"])
    ]
    track = compared.get_by_role("region", name="Where the models differ").locator(".disagreement")
    assert track.locator("div").count() == len(both)
    assert track.locator(".differ").count() == sum(one != other for one, other in both)


def test_one_model_has_nothing_to_differ_from(opened):
    expect(opened.get_by_role("region", name="Where the models differ")).to_have_count(0)
