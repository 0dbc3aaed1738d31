import pytest

from serkit.app import access
from serkit.errors import UserError

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_this_computer_needs_no_token(host):
    access.check_address(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "", "127.0.0.1.example.org"])
def test_any_other_address_needs_one(host):
    with pytest.raises(UserError, match="set a token in SERKIT_TOKEN"):
        access.check_address(host, None)
    access.check_address(host, TOKEN)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("SERKIT_TOKEN", raising=False)
    assert access.read_token() is None
    monkeypatch.setenv("SERKIT_TOKEN", TOKEN)
    assert access.read_token() == TOKEN
    (tmp_path / "token").write_text("another-long-token\n")
    assert access.read_token(tmp_path / "token") == "another-long-token"


@pytest.mark.parametrize("text", ["", "short", "0123456789abcde", "0123456789abcdef 7", "0123456789abcdeé"])
def test_a_token_that_is_none(text, monkeypatch):
    monkeypatch.setenv("SERKIT_TOKEN", text)
    with pytest.raises(UserError, match="SERKIT_TOKEN: a token must have at least 16 characters"):
        access.read_token()


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, True),
        ({"Authorization": f"bearer  {TOKEN}"}, True),
        ({"Authorization": f"Basic {TOKEN}"}, False),
        ({"Authorization": TOKEN}, False),
        ({"Authorization": f"Bearer {TOKEN}0"}, False),
        ({"Authorization": "Bearer "}, False),
        ({"Authorization": "Bearer é"}, False),
        ({}, False),
    ],
)
def test_requests_carry_it(serve, sound, given, allowed):
    client = serve(token=TOKEN)
    headers = {name: value.encode() for name, value in given.items()}
    for answer in (
        client.get("/v1/models", headers=headers),
        client.get("/metrics", headers=headers),
        client.post("/v1/predict", content=sound(), headers=headers),
        client.post("/v1/timeline", content=sound(), headers=headers),
    ):
        assert answer.status_code == (200 if allowed else 401)
        if not allowed:
            assert answer.json() == {"error": "the token is missing or wrong"}
            assert answer.headers["www-authenticate"] == "Bearer"


def test_health_and_page_need_none(serve):
    client = serve(token=TOKEN)
    assert [client.get(path).status_code for path in ("/healthz", "/", "/openapi.json")] == [200] * 3
