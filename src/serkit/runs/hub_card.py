"""The page of a bundle on the Hugging Face Hub: `README.md` with metadata in YAML, from the model card.

Source of the metadata: https://huggingface.co/docs/hub/model-cards. YAML includes JSON, whose quoting has no traps.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from serkit.atomic import writing_folder
from serkit.errors import UserError
from serkit.recognition.bundle import Bundle

#: Name of the page.
README = "README.md"

# Identifiers of the Hub for licenses by their SPDX names, in lower case.
_LICENSES = frozenset(
    {
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "mpl-2.0"),
        *("cc-by-4.0", "cc-by-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    }
)

_USAGE = """\
## Use with serkit

```console
$ pip install 'serkit[hub]'
$ serkit predict call.wav --model hf:OWNER/{name}@REVISION
```

```python
import serkit

recognizer = serkit.load("hf:OWNER/{name}@REVISION")  # REVISION is the hash of a commit: the model is pinned
print(recognizer("call.wav"))
```

A copy of this folder works as well: `serkit.load("path/to/{name}")`.
"""


def write(bundle: Bundle, folder: Path) -> None:
    """Write a copy of a bundle with the page of the Hub.

    Args:
        bundle: the bundle.
        folder: new folder, to be uploaded with `hf upload OWNER/NAME FOLDER`.

    Raises:
        UserError: the folder exists.
    """
    if folder.exists():
        raise UserError(f"{folder}: already exists; remove it or choose another folder")
    with writing_folder(folder) as temporary:
        for path in sorted(bundle.folder.iterdir()):
            if path.name != README and path.is_file():
                shutil.copyfile(path, temporary / path.name)
        (temporary / README).write_text(page(bundle), encoding="utf-8")


def page(bundle: Bundle) -> str:
    """Return the page of a bundle."""
    head = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in metadata(bundle).items())
    title, _, card = bundle.card().partition("\n\n")
    return f"---\n{head}---\n\n{title}\n\n{_USAGE.format(name=_slug(bundle.name))}\n{card}"


def metadata(bundle: Bundle) -> dict[str, Any]:
    """Return the metadata of the page."""
    plain = bundle.licence.strip().lower()
    if plain in _LICENSES:
        licence: dict[str, Any] = {"license": plain}
    else:
        licence = {
            "license": "other",
            "license_name": "terms-of-the-recordings",
            "license_link": f"{README}#license-of-the-weights",
        }
    metrics = list(dict.fromkeys(score.metric for score in bundle.scores))
    return {
        **({"language": bundle.languages} if bundle.languages else {}),
        **licence,
        "library_name": "serkit",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "audio-classification", "onnx", "serkit", bundle.system],
        "datasets": [],
        **({"metrics": metrics} if metrics else {}),
        **({"model-index": [_index(bundle)]} if bundle.scores else {}),
    }


def _index(bundle: Bundle) -> dict[str, Any]:
    """Return the scores in the form of the Hub; a score with flags says so in its name."""
    results = []
    for score in bundle.scores:
        flags = f" ({', '.join(score.flags)})" if score.flags else ""
        interval = f", 95 % interval {score.low:.3f} to {score.high:.3f}" if None not in (score.low, score.high) else ""
        results.append(
            {
                "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
                "dataset": {"type": _slug(score.corpus), "name": f"{score.corpus}, protocol {score.protocol}"},
                "metrics": [
                    {
                        "type": score.metric,
                        "name": f"{score.metric}{interval}{flags}",
                        "value": round(score.value, 4),
                        "verified": False,
                    }
                ],
            }
        )
    return {"name": bundle.name, "results": results}


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "recognizer"
