"""Recognition over HTTP: REST, a WebSocket for live sound, and a web page. Requires the `app` extra.

Answers equal those of the recognizer. The server limits the requests of clients and stores no sound.
"""

from pathlib import Path

#: Folder of the page that `make page` builds.
PAGE = Path(__file__).parent / "page" / "dist"
