"""What the server writes to stderr: lines for people, or JSON objects for programs.

A log holds no sound, no names of files and no parameters of a request: only the route, never the requested path.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class LogFormat(StrEnum):
    """Form of the log."""

    text = "text"
    json = "json"


#: Requests, streams and jobs that have ended, in JSON only.
_ENDED = logging.getLogger("serkit.requests")


class _Json(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == _ENDED.name else "message",
            "process": os.getpid(),
        }
        if record.name == _ENDED.name:
            line |= record.__dict__["fields"]
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(format: LogFormat = LogFormat.text, log_requests: bool = False) -> None:
    """Set up the log of this process.

    Args:
        format: `json` writes an object per message, and one per request, stream and job that has ended.
        log_requests: whether text has a line per request; JSON always has them.
    """
    as_json = format is LogFormat.json
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("serkit.app").setLevel(logging.INFO)
    _ENDED.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if log_requests and not as_json else logging.WARNING)
    # Errors in requests and forms are reported to the client.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)


def ended(event: str, **fields: Any) -> None:
    """Log that a request, stream or job has ended."""
    _ENDED.info(event, extra={"fields": fields})
