"""Local checkpoints of Hugging Face's transformers. Nothing is downloaded, unpickled or run from a checkpoint."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from serkit.documents import read_json
from serkit.errors import UserError
from serkit.options import first_line

#: Variable with the folder of the checkpoint of features and networks that name none.
VARIABLE = "SERKIT_CHECKPOINT"


def find(path: str) -> Path:
    """Return the folder of a checkpoint.

    Args:
        path: the folder; empty: the one that `SERKIT_CHECKPOINT` names.

    Raises:
        UserError: it is no checkpoint with weights in safetensors.
    """
    given = path or os.environ.get(VARIABLE, "")
    if not given:
        raise UserError(f"a checkpoint of transformers is needed: give path, or set {VARIABLE} to its folder")
    folder = Path(os.path.expanduser(given))
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: is no folder with the config.json of a checkpoint; serkit downloads none, but "
            "`hf download NAME --local-dir FOLDER` does"
        )
    if not _weights(folder):
        raise UserError(f"{folder}: has no weights in safetensors; save the model with save_pretrained")
    return folder


def sha256(folder: Path) -> str:
    """Return a hash of a checkpoint's configuration and weights."""
    files = [folder / "config.json", *_weights(folder)]
    return _hash(tuple((str(file.absolute()), file.stat().st_mtime_ns, file.stat().st_size) for file in files))


def configuration(folder: Path) -> dict[str, Any]:
    """Return the content of a checkpoint's `config.json`.

    Raises:
        UserError: it lacks the size or the number of its layers.
    """
    found: dict[str, Any] = read_json(folder / "config.json")
    for key in ("hidden_size", "num_hidden_layers"):
        if not isinstance(found.get(key), int):
            raise UserError(f"{folder / 'config.json'}: key '{key}' is missing; is it an encoder of speech?")
    return found


def load(folder: Path) -> Any:
    """Load the model of a checkpoint, in evaluation mode.

    Raises:
        UserError: transformers is not installed, or cannot load it.
    """
    try:
        import transformers
    except ImportError:
        raise UserError("checkpoints require transformers: pip install 'serkit[ssl]'") from None
    import torch

    # In plain operations, which every exporter knows; without masks, whose random numbers are NumPy's, which a resumed
    # training would not repeat.
    options = {"attn_implementation": "eager", **_quiet(configuration(folder))}
    try:
        if torch.empty(0).device.type == "meta":  # for its shapes only
            config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True, **options)
            from_config: Any = transformers.AutoModel.from_config
            model = from_config(config)
        else:
            model = transformers.AutoModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, **options
            )
    except Exception as error:  # its libraries have their own errors
        raise UserError(f"{folder}: transformers cannot load it ({first_line(error)})") from None
    return model.eval()


@functools.lru_cache(maxsize=2)
def shared(folder: str, sha256: str) -> Any:
    """Return the model of a checkpoint for reading only; the hash tells apart what lay at the same place."""
    return load(Path(folder)).requires_grad_(False)


def _quiet(config: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that switch off masks and dropped layers, if the model has them."""
    off = {"apply_spec_augment": False, "layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    return {key: value for key, value in off.items() if key in config}


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


@functools.lru_cache(maxsize=16)
def _hash(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for place, _, _ in files:
        with open(place, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
