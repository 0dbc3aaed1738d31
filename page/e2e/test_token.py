"""A server that wants a token."""

from playwright.sync_api import expect

from conftest import TOKEN, open_file


def test_the_token_is_asked_for_until_it_is_right(context, guarded_server, sounds):
    page = context.new_page()
    page.goto(guarded_server)
    dialog = page.get_by_role("dialog", name="Token")
    dialog.get_by_label("Token").fill("a-wrong-token-of-length")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog).to_contain_text("The server refused this token.")
    dialog.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    open_file(page, sounds / "speech.wav")
    assert page.get_by_role("listbox").get_by_role("option").count() > 0
    # The live stream carries it too, and a reload does not ask again.
    page.get_by_role("button", name="Listen live").click()
    expect(page.get_by_role("heading", name="Listening live")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Open a file")).to_be_visible()


def test_declining_is_a_line_and_can_be_tried_again(context, guarded_server):
    page = context.new_page()
    page.goto(guarded_server)
    page.get_by_role("dialog", name="Token").get_by_role("button", name="Close").click()
    expect(page.get_by_role("alert")).to_contain_text("The server wants a token.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog", name="Token")).to_be_visible()
