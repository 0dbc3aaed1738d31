"""How utterances become training, validation and test parts, and the audit of what the parts share.

`splits.splits` cuts, `audit.audit` looks for leaks, `protocol.Protocol` is what both are told.
"""

from __future__ import annotations

from serkit.protocols.protocol import STANDARD, Protocol, flags
from serkit.protocols.splits import Split

__all__ = ["STANDARD", "Protocol", "Split", "flags"]
