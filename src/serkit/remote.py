"""Files at URLs, through fsspec: `s3://`, `gs://`, `https://` and every other protocol that it knows.

Credentials come from the environment or from the files of the provider's own tools, never from a URL, a command line or
a file of serkit. Messages and results name a URL without user, password, query and fragment, which may be a signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serkit.atomic import writing
from serkit.errors import UserError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>,)]+")
_MAGIC = frozenset("*?[")
#: Protocols whose servers list no folders.
_FILES_ONLY = ("http", "https", "data")

#: Size in bytes of the largest file that is fetched: three hours of 16 bits in stereo at 48 kHz.
MOST = 2 << 30

_CHUNK = 1 << 20


class RemoteError(UserError):
    """A URL cannot be read or written. The message begins with the URL, without credentials."""


def is_url(text: object) -> bool:
    """Return whether a text is a URL rather than a path; `C:\\calls` is a path.

    >>> is_url("s3://calls/a.wav"), is_url("calls/a.wav"), is_url("C:/calls")
    (True, False, False)
    """
    return isinstance(text, str) and _URL.match(text) is not None


def redacted(url: str) -> str:
    """Return a URL without user, password, query and fragment.

    >>> redacted("https://me:secret@example.org/a.wav?X-Amz-Signature=12#t")
    'https://example.org/a.wav'
    """
    scheme, _, place, _ = _split(url)
    return f"{scheme}://{place}"


def _split(url: str) -> tuple[str, str, str, str]:
    """Return scheme, user with password, host with path, and query with fragment; no text is malformed."""
    scheme, _, rest = url.partition("://")
    rest, *hidden = re.split(r"[?#]", rest, maxsplit=1)
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    return scheme.lower(), user, f"{host}{slash}{path}", "".join(hidden)


def name(recording: str) -> str:
    """Return the name of a path or URL in results and messages."""
    return redacted(recording) if is_url(recording) else recording


def fetch(url: str, most: int = MOST) -> bytes:
    """Return the content of a file at a URL.

    Args:
        url: its URL.
        most: largest size in bytes.

    Raises:
        RemoteError: there is no such file, it is not readable, or it is larger.
    """
    with _told(url):
        system, path = _open(url)
        with system.open(path, "rb") as file:
            content: bytes = file.read(most + 1)
    if len(content) > most:
        raise RemoteError(f"{redacted(url)}: larger than {most >> 20} MB; download it, and give its path")
    return content


def find(url: str, suffixes: frozenset[str]) -> list[str]:
    """Return the files that a URL stands for, sorted: itself, those below a folder, or those that match a pattern.

    Args:
        url: URL of a file, of a folder (it ends in `/` or has no suffix) or a pattern (`s3://calls/*.wav`).
        suffixes: endings in lower case of the files to find below a folder.

    Raises:
        RemoteError: the URL cannot be read.
    """
    end = url.rpartition("/")[2]
    pattern = bool(_MAGIC.intersection(url))
    if _split(url)[0] in _FILES_ONLY or ("." in end and not pattern):
        return [url]
    with _told(url):
        system, path = _open(url)
        found = system.glob(path) if pattern else system.find(path)
        return sorted(system.unstrip_protocol(one) for one in found if Path(one).suffix.lower() in suffixes)


class Folder:
    """A folder of files, on a disk or at a URL.

    Args:
        place: its path or URL. It is created when needed.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __str__(self) -> str:
        return name(self.place)

    def names(self) -> list[str]:
        """Return the names of the files in the folder, sorted; none if there is no such folder."""
        if not is_url(self.place):
            folder = Path(self.place)
            return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        with _told(self.place):
            system, path = _open(self.place)
            # Another process may have written since.
            system.invalidate_cache()
            if not system.exists(path):
                return []
            return sorted(one.rstrip("/").rpartition("/")[2] for one in system.ls(path, detail=False))

    def __contains__(self, file: str) -> bool:
        if not is_url(self.place):
            return (Path(self.place) / file).exists()
        with _told(self.place):
            system, path = _open(self.place)
            system.invalidate_cache()
            return bool(system.exists(f"{path.rstrip('/')}/{file}"))

    @contextmanager
    def opened(self, file: str) -> Iterator[Any]:
        """Open a file for reading, with random access."""
        if not is_url(self.place):
            with open(Path(self.place) / file, "rb") as stream:
                yield stream
            return
        with _told(f"{self.place.rstrip('/')}/{file}"):
            system, path = _open(self.place)
            with system.open(f"{path.rstrip('/')}/{file}", "rb") as stream:
                yield stream

    @contextmanager
    def writing(self, file: str) -> Iterator[Path]:
        """Yield a path to write to; if the block succeeds, the file appears in the folder, complete.

        At a URL, the file is sent under a temporary name and then renamed.
        """
        if not is_url(self.place):
            folder = Path(self.place)
            folder.mkdir(parents=True, exist_ok=True)
            with writing(folder / file) as temporary:
                yield temporary
            return
        with TemporaryDirectory(prefix="serkit-") as local:
            made = Path(local) / file
            yield made
            with _told(f"{self.place.rstrip('/')}/{file}"):
                system, path = _open(self.place)
                system.makedirs(path, exist_ok=True)
                there = f"{path.rstrip('/')}/{file}"
                system.put_file(str(made), f"{there}.tmp")
                system.mv(f"{there}.tmp", there)


def _open(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise RemoteError(f"{redacted(url)}: URLs require the remote extra: pip install 'serkit[remote]'") from None
    if _split(url)[1]:
        raise RemoteError(f"{redacted(url)}: a URL must hold no user or password; set them in the environment")
    system, path = fsspec.core.url_to_fs(url)
    return system, str(path)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Raise RemoteError for whatever a file system raises; libraries put URLs and tokens into their messages."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise RemoteError(f"{redacted(url)}: no such file") from None
    except PermissionError:
        raise RemoteError(f"{redacted(url)}: access denied; credentials come from the environment") from None
    except ImportError as error:
        needed = f"the library {error.name}" if error.name else "a library of fsspec that is not installed"
        raise RemoteError(f"{redacted(url)}: {_split(url)[0]}:// requires {needed}") from None
    except Exception as error:
        status = getattr(error, "status", None)  # of aiohttp; its message holds the whole URL
        reason = f"status {status}" if status else _without_secrets(str(error), url) or type(error).__name__
        raise RemoteError(f"{redacted(url)}: {reason}") from None


def _without_secrets(text: str, url: str) -> str:
    """Return the first line of a message, without what a URL may hide."""
    _, user, _, hidden = _split(url)
    for secret in (user, *user.split(":"), hidden, *re.split(r"[&=#]", hidden)):
        if len(secret) > 3:  # `v=1` hides nothing
            text = text.replace(secret, "...")
    return _IN_TEXT.sub(lambda found: redacted(found[0]), text.strip().partition("\n")[0])
