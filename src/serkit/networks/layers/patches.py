"""Images and the patches they are cut into."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from serkit.networks.network import Shape


def cut_patches(image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cut an image (batch, channels, height, width) into patches, row by row: (batch, patches, size).

    The values of a patch run over (row, column, channel), with the channel fastest.
    """
    rows, columns = image.shape[2] // patch[0], image.shape[3] // patch[1]
    parts = image.unflatten(3, (columns, patch[1])).unflatten(2, (rows, patch[0]))
    output: Tensor = parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    return output


def image_size(view: str, shape: Shape) -> tuple[int, int]:
    """Return height and width of a view that is an image of one channel.

    Raises:
        TypeError: its shape is not a fixed (1, height, width).
    """
    sizes = [length for length in shape if length is not None]
    if len(shape) != 3 or len(sizes) != 3 or sizes[0] != 1:
        raise TypeError(f"view '{view}' must have a fixed shape (1, height, width), got {shape}")
    return sizes[1], sizes[2]


def patch_size(patch: Sequence[int], height: int, width: int) -> tuple[int, int]:
    """Return height and width of a patch that divides an image.

    Raises:
        TypeError: the patch does not divide the image, or is not two numbers of 1 or more.
    """
    rows, columns = pair("patch", patch, [height, 1])
    if height % rows or width % columns:
        raise TypeError(f"patch = {[rows, columns]} does not divide the image, {height} x {width}; try [{height}, 1]")
    return rows, columns


def pair(option: str, value: Sequence[int], example: Sequence[int]) -> tuple[int, int]:
    """Check a network's option that is a height and a width.

    Raises:
        ValueError: it is not two numbers of 1 or more; the message shows `example`.
    """
    if not isinstance(value, Sequence) or len(value) != 2 or min(value) < 1:
        raise ValueError(f"{option} must be height and width, e.g. {example}, got {value}")
    return value[0], value[1]
