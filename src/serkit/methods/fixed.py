"""A stage with nothing to learn."""

from __future__ import annotations

from serkit.methods.method import Method


class Fixed(Method):
    """Leave the network as it is made: for one whose work is done by earlier stages, as an `ensemble`'s is."""

    by_epochs = False
    learns = False
