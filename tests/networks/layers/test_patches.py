import pytest
import torch

from serkit.networks.layers.patches import cut_patches, image_size, pair, patch_size


def test_patches_run_over_row_column_channel():
    image = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    found = cut_patches(image, (2, 3))
    assert found.shape == (2, 4, 18)
    for item in range(2):
        for patch, (top, left) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
            expected = [
                image[item, channel, top + row, left + column]
                for row in range(2)
                for column in range(3)
                for channel in range(3)
            ]
            assert found[item, patch].tolist() == expected


def test_sizes():
    assert image_size("image", (1, 4, 6)) == (4, 6)
    assert patch_size([2, 3], 4, 6) == (2, 3)
    assert pair("stride", [2, 9], [10, 10]) == (2, 9)


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, None), (None, 4, 6), (2, 4, 6), (1, 1, 4, 6)])
def test_what_is_no_image(shape):
    with pytest.raises(TypeError, match=r"view 'image' must have a fixed shape \(1, height, width\), got "):
        image_size("image", shape)


@pytest.mark.parametrize("value", [[10], [10, 0], [1, 2, 3], 10])
def test_what_is_no_pair(value):
    with pytest.raises(ValueError, match=r"stride must be height and width, e.g. \[10, 10\], got "):
        pair("stride", value, [10, 10])


@pytest.mark.parametrize("patch", [[3, 3], [2, 4]])
def test_a_patch_that_does_not_divide(patch):
    with pytest.raises(TypeError, match=r"does not divide the image, 4 x 6; try \[4, 1\]"):
        patch_size(patch, 4, 6)
