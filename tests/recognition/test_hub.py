"""To and from the Hugging Face Hub, whose own library reads the page and downloads from a server of this test."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from serkit import UserError, cli, load
from serkit.recognition import hub
from serkit.recognition.bundle import Bundle

REVISION = "0123456789abcdef0123456789abcdef01234567"
NAME = f"hf:someone/voices@{REVISION}"


@pytest.fixture
def page(toy, tmp_path):
    """The folder for the Hub of the bundle `toy`."""
    assert cli.run(["export", "toy", "--hub", "--out", str(tmp_path / "upload")]) == 0
    return tmp_path / "upload"


def test_the_library_of_the_hub_reads_the_page(page):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = huggingface_hub.ModelCard.load(page / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "serkit" and card.data.pipeline_tag == "audio-classification"
    assert card.data.language == ["de"]
    results = {(one.dataset_name, one.metric_type): one for one in card.data.eval_results}
    assert results["emodb, protocol clean", "uar"].metric_value == 0.5
    assert "speaker overlap" in results["emodb, protocol paper", "uar"].metric_name
    assert "# Toy" in card.text and "hf:OWNER/toy@REVISION" in card.text
    # What the Hub checks without a network: the metadata can be written and read again.
    again = huggingface_hub.ModelCard(str(card))
    assert again.data.to_dict() == card.data.to_dict()


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("weights under: terms 'of' \"x\"", {"license": "other", "license_name": "terms-of-the-recordings"}),
    ],
)
def test_licenses(licence, expected, tmp_path, description, network):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    from serkit.runs.hub_card import write

    made = description(licence=licence, scores=[], languages=[]).save(
        tmp_path / "a: b", network({"mel": 64})[0], "# A\n\nB\n"
    )
    write(made, tmp_path / "upload")
    found = huggingface_hub.ModelCard.load(tmp_path / "upload" / "README.md").data.to_dict()
    assert expected.items() <= found.items()
    with pytest.raises(UserError, match="already exists"):
        write(made, tmp_path / "upload")


def test_a_local_copy_is_a_recognizer(page, toy, noise, tmp_path):
    noise(tmp_path / "a.wav")
    assert load(page).predict_file(tmp_path / "a.wav") == load(toy).predict_file(tmp_path / "a.wav")


@pytest.fixture
def server(page):
    """A server with the part of the Hub's interface that a download needs; yields its address and what was asked."""
    files = {path.name: path.read_bytes() for path in page.iterdir()}
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            asked.append(path)
            headers = {"X-Repo-Commit": REVISION}
            if path.startswith("/api/models/someone/voices/revision/"):
                entries = [{"rfilename": name} for name in files]
                content = json.dumps({"id": "someone/voices", "sha": REVISION, "siblings": entries}).encode()
            elif path.startswith("/api/models/someone/voices/tree/"):
                entries = [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in files.items()
                ]
                content = json.dumps(entries).encode()
            elif (name := path.rpartition("/")[2]) in files and f"/resolve/{REVISION}/" in path:
                content = files[name]
                headers["ETag"] = f'"{hashlib.sha1(content).hexdigest()}"'
            else:
                self.send_error(404)
                return
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *arguments):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}", asked
    served.shutdown()
    served.server_close()


def test_a_recognizer_is_downloaded_once(server, toy, tmp_path):
    pytest.importorskip("huggingface_hub")
    address, asked = server
    environment = {
        **os.environ,
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "SERKIT_CACHE": str(tmp_path / "cache"),
    }
    program = f"import serkit; print(serkit.load({NAME!r}).bundle.name)"

    def run():
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)

    first = run()
    assert first.stdout == "toy\n", first.stderr
    folder = tmp_path / "cache" / "hub" / f"someone--voices-{REVISION}"
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert not any(path.endswith("README.md") for path in asked)
    assert Bundle.load(folder).name == "toy"
    asked.clear()
    assert run().stdout == "toy\n" and asked == []


@pytest.mark.parametrize(
    "name", ["hf:someone/voices", "hf:someone/voices@main", "hf:voices@" + REVISION, "hf:../x@" + REVISION]
)
def test_only_a_pinned_name_is_fetched(name, capsys):
    with pytest.raises(UserError, match="where REVISION is the hash of a commit"):
        load(name)
    assert cli.run(["predict", "a.wav", "--model", name]) == 2


def test_what_cannot_be_fetched_leaves_nothing(tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path))

    def refuse(*arguments, **options):
        raise ConnectionError("no network\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(UserError, match=r"cannot be downloaded \(no network\)"):
        hub.fetch(NAME)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *arguments, **options: None)
    with pytest.raises(UserError, match="holds no recognizer of serkit"):
        hub.fetch(NAME)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'serkit\[hub\]'"):
        hub.fetch(NAME)
    assert not any(path.is_dir() for path in (tmp_path / "hub").iterdir())
