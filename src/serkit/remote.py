"""Files at URLs, through fsspec: `s3://`, `gs://`, `https://` and every other protocol that it knows.

Credentials come from the environment or from the files of the provider's own tools, never from a URL, a command line or
a file of serkit. Messages and results name a URL without user, password, query and fragment, which may be a signature.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from serkit.atomic import writing
from serkit.errors import UserError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>,)]+")
_MAGIC = frozenset("*?[")
#: Protocols of servers that list no folders and take no files.
_READ_ONLY = ("http", "https")
#: Protocols whose paths begin with a bucket. A file appears there once it is complete, and folders need not be made:
#: s3fs and gcsfs would make a bucket, so that a misspelled name would become one.
_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")

#: Size in bytes of the largest file that is fetched: three hours of 16 bits in stereo at 48 kHz.
MOST = 2 << 30

#: A server may be slow, but not silent: s to reach it, and between two pieces of a file. aiohttp's own limit of 5 min
#: for everything would end a long recording on a slow line.
_PATIENCE: dict[str, Any] = {"total": None, "sock_connect": 20, "sock_read": 60}

#: What errors of the libraries below fsspec mean, by the name of their class or of one above it. The first that fits.
_MEANINGS = {
    "NoCredentialsError": "there are no credentials; they come from the environment",
    "ClientSSLError": "there is no secure connection to the host",
    "SSLError": "there is no secure connection to the host",
    "TimeoutError": "the host does not answer in time",
    "ConnectTimeoutError": "the host does not answer in time",
    "ReadTimeoutError": "the host does not answer in time",
    "ClientPayloadError": "the connection ended before the file was complete",
    "IncompleteReadError": "the connection ended before the file was complete",
    "ResponseStreamingError": "the connection ended before the file was complete",
    "ServerDisconnectedError": "the host ended the connection",
    "ClientConnectorError": "the host cannot be reached",
    "EndpointConnectionError": "the host cannot be reached",
    "NonHttpUrlClientError": "the host redirects to an address that is not of the web",
    "TooManyRedirects": "the host redirects without end",
    "InvalidURL": "is not a valid URL",
    "ClientOSError": "the host ended the connection",
    "ConnectionClosedError": "the host ended the connection",
}
_DENIED, _NO_FILE = "access denied; credentials come from the environment", "no such file"
_STATUSES = {401: _DENIED, 403: _DENIED, 404: _NO_FILE, 410: _NO_FILE}


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


def _scheme(url: str) -> str:
    return _split(url)[0]


def _split(url: str) -> tuple[str, str, str, str]:
    """Return scheme, user with password, host with path, and query with fragment; no text is malformed."""
    scheme, _, rest = url.partition("://")
    # Only the web has queries everywhere; elsewhere, `#` and `?` belong to a name or a pattern.
    rest, *hidden = re.split(r"[?#]" if scheme.lower() in _READ_ONLY else r"\?(?=[\w-]+=)", rest, maxsplit=1)
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
        pieces, left = [], most + 1
        with system.open(path, "rb", **(_as_stream() if _scheme(url) in _READ_ONLY else {})) as file:
            while left > 0 and (piece := file.read(left)):
                pieces.append(piece)
                left -= len(piece)
    if left <= 0:
        raise RemoteError(f"{redacted(url)}: larger than {most >> 20} MB; download it, and give its path")
    return b"".join(pieces)


def _as_stream() -> dict[str, Any]:
    """Return fsspec's options that read from the web by one request.

    Otherwise a request of its own asks for the size first. Servers may forbid it, and its failure hides the reason.
    """
    from aiohttp import ClientTimeout

    return {"block_size": 0, "size": 1, "timeout": ClientTimeout(**_PATIENCE)}


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
    if _scheme(url) in _READ_ONLY or ("." in end and not pattern):
        return [url]
    with _told(url):
        system, path = _open(url)
        found = system.glob(path) if pattern else system.find(path)
        if not found:
            _check_bucket(url)
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
            system, path = self._there()
            if not system.exists(path):
                _check_bucket(self.place)
                return []
            return sorted(one.rstrip("/").rpartition("/")[2] for one in system.ls(path, detail=False))

    def __contains__(self, file: str) -> bool:
        if not is_url(self.place):
            return (Path(self.place) / file).exists()
        with _told(self.place):
            system, path = self._there()
            return bool(system.exists(f"{path}/{file}"))

    @contextmanager
    def opened(self, file: str) -> Iterator[Any]:
        """Open a file for reading, with random access."""
        if not is_url(self.place):
            with open(Path(self.place) / file, "rb") as stream:
                yield stream
            return
        # What is wrong with the content is the reader's matter.
        with _told(f"{self.place.rstrip('/')}/{file}", KeyError, TypeError, ValueError):
            system, path = self._there()
            with system.open(f"{path}/{file}", "rb") as stream:
                yield stream

    @contextmanager
    def writing(self, file: str) -> Iterator[Path]:
        """Yield a path to write to; if the block succeeds, the file appears in the folder, complete.

        Where the server shows a file while it is sent, it is sent under a temporary name and then renamed.
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
                system, path = self._there()
                there = f"{path}/{file}"
                if _scheme(self.place) in _BUCKETS:
                    system.put_file(str(made), there)
                    return
                system.makedirs(path, exist_ok=True)
                temporary_there = f"{there}.{uuid4().hex}.tmp"
                system.put_file(str(made), temporary_there)
                system.mv(temporary_there, there)

    def _there(self) -> tuple[Any, str]:
        """Return the file system of a URL, as it is now, and the folder's path in it."""
        if _scheme(self.place) in _READ_ONLY:
            raise RemoteError(f"{self}: holds no folder of parts; {', '.join(_READ_ONLY)} only give files")
        system, path = _open(self.place)
        # Another process may have written since.
        system.invalidate_cache()
        return system, path.rstrip("/")


def _check_bucket(url: str) -> None:
    """Raise RemoteError if a URL names a bucket that is not there; folders that are not there are empty."""
    if _scheme(url) in _BUCKETS:
        system, path = _open(url)
        bucket = path.strip("/").partition("/")[0]
        if not system.exists(bucket):
            raise RemoteError(f"{redacted(url)}: there is no bucket '{bucket}'")


def _open(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    try:
        import fsspec
    except ImportError:
        raise RemoteError(f"{redacted(url)}: URLs require the remote extra: pip install 'serkit[remote]'") from None
    if _split(url)[1]:
        raise RemoteError(f"{redacted(url)}: a URL must hold no user or password; set them in the environment")
    system, path = fsspec.core.url_to_fs(url)
    return system, _unquoted(str(path)) if _scheme(url) == "file" else str(path)


def _unquoted(path: str) -> str:
    """Return the path of a URL of this machine: fsspec takes names as they are, browsers and `Path.as_uri` quote them.

    >>> _unquoted("/no/100%.wav")
    '/no/100%.wav'
    """
    plain = unquote(path)
    return plain if not os.path.lexists(path) and os.path.lexists(plain) else path


@contextmanager
def _told(url: str, *passed: type[Exception]) -> Iterator[None]:
    """Raise RemoteError for whatever a file system raises; libraries put URLs and tokens into their messages."""
    kept: tuple[type[Exception], ...] = (UserError, *passed)
    try:
        yield
    except kept:
        raise
    except FileNotFoundError:
        try:
            _check_bucket(url)
        except UserError as lacking:
            raise lacking from None
        except Exception:  # who may read a file need not be allowed to look for its bucket
            pass
        raise RemoteError(f"{redacted(url)}: {_NO_FILE}") from None
    except Exception as error:
        raise RemoteError(f"{redacted(url)}: {_reason(error, url)}") from None


def _reason(error: BaseException, url: str) -> str:
    """Return what an error of a file system means, in one line without secrets."""
    if isinstance(error, PermissionError):
        return _DENIED
    if isinstance(error, ImportError):
        # fsspec raises an error of its own from that of the library.
        library = error.name or getattr(error.__cause__, "name", None) or "a library of fsspec that is not installed"
        return f"{_scheme(url)}:// requires {library}; try: pip install 'serkit[remote]'"
    classes = {kind.__name__ for kind in type(error).__mro__}
    if meaning := next((text for name, text in _MEANINGS.items() if name in classes), None):
        detail = _detail(error)
        return f"{meaning} ({detail})" if detail else meaning
    status = getattr(error, "status", None)  # of aiohttp; its message holds the whole URL
    if status:
        return _STATUSES.get(status, f"the host answers with status {status}")
    return _without_secrets(str(error), url) or type(error).__name__


def _detail(error: Any) -> str:
    """Return what the system or the TLS library says of a connection; empty where it says nothing."""
    # botocore holds an error of aiohttp, which holds one of the system.
    held = getattr(error, "kwargs", {}).get("error") or getattr(error, "certificate_error", None)
    held = held or getattr(error, "os_error", None)
    if isinstance(held, BaseException) and held is not error:
        return _detail(held)
    told = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    if told or not isinstance(error, OSError) or not error.errno:
        return str(told or "")
    # Those of name resolution are negative.
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror or "")


def _without_secrets(text: str, url: str) -> str:
    """Return the first line of a message, without what a URL may hide."""
    _, user, _, hidden = _split(url)
    for secret in (user, *user.split(":"), hidden, *re.split(r"[&=#]", hidden)):
        if len(secret) > 3:  # `v=1` hides nothing
            text = text.replace(secret, "...")
    return _IN_TEXT.sub(lambda found: redacted(found[0]), text.strip().partition("\n")[0])
