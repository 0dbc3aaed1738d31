"""Split utterances into training, validation and test parts.

`splits.splits` cuts them as a `protocol.Protocol` describes; `serkit.auditing` looks for leaks.
"""

from __future__ import annotations

from serkit.protocols.protocol import STANDARD, Protocol, flags
from serkit.protocols.splits import Split

__all__ = ["STANDARD", "Protocol", "Split", "flags"]
