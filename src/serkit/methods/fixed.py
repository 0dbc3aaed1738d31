"""A stage without training."""

from __future__ import annotations

from serkit.methods.method import Method


class Fixed(Method):
    """Keep the network as built, for a network such as `ensemble` that only combines earlier stages."""

    by_epochs = False
    learns = False
