"""The recogniser over HTTP: REST, a WebSocket for live sound, and a page. Needs the `app` extra.

It answers what the recogniser answers, bounds what a client can ask of it, and stores no sound.
"""

from pathlib import Path

#: Where `make page` builds the page.
PAGE = Path(__file__).parent / "page" / "dist"
