"""A template of a plugin for serkit."""

from pathlib import Path

#: The file of the system `example-envelope`.
SYSTEM = Path(__file__).parent / "envelope.toml"
