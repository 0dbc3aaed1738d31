"""Recognizers on the Hugging Face Hub: `hf:owner/name@revision`, fetched once and kept in the cache folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from serkit.atomic import writing_folder
from serkit.errors import UserError

#: Start of the name of a recognizer on the Hub.
PREFIX = "hf:"

# A branch or a tag may be moved to other files; the hash of a commit may not.
_NAME = re.compile(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([0-9a-f]{40})")

#: What is fetched; the rest of a repository is not needed.
FILES = ("bundle.json", "CARD.md", "model.onnx", "encoder-*.onnx", "weights.safetensors")


def fetch(name: str) -> Path:
    """Return the folder of a recognizer of the Hub, and download it if it is not in the cache folder.

    Args:
        name: `hf:owner/name@revision`; the revision is the hash of a commit.

    Raises:
        UserError: the name is malformed or not pinned, huggingface_hub is not installed, or the download fails.
    """
    from serkit.data.store import default_folder

    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(
            f"{name}: must be hf:owner/name@REVISION, where REVISION is the hash of a commit (40 hexadecimal digits): "
            "a branch or a tag can be moved to other files"
        )
    repository, revision = match.groups()
    folder = default_folder() / "hub" / f"{repository.replace('/', '--')}-{revision}"
    if folder.is_dir():
        return folder
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(f"{name}: recognizers of the Hub require huggingface_hub: pip install 'serkit[hub]'") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with writing_folder(folder) as temporary:
        try:
            # Into a folder of its own: the library's cache consists of links, which bundles must not have.
            snapshot_download(repository, revision=revision, local_dir=temporary, allow_patterns=list(FILES))
        except Exception as error:  # of the library, the network, the disk
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise UserError(f"{name}: cannot be downloaded ({first})") from None
        shutil.rmtree(temporary / ".cache", ignore_errors=True)  # the library's notes for another download
        if not (temporary / "bundle.json").is_file():
            raise UserError(f"{name}: holds no recognizer of serkit (bundle.json is missing)")
    return folder
