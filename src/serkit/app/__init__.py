"""The recogniser over HTTP: REST, a WebSocket for live sound, and a page. Needs the `app` extra.

It answers what the recogniser answers, bounds what a client can ask of it, and stores no sound.
"""
