from pathlib import Path

import numpy as np
import pytest
import torch

from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.training.batches import ItemData


def make_items(*emotions):
    return [
        Item(
            Utterance(
                f"table/{row}", Path("x.wav"), speaker=f"table/{row % 2}", targets={"emotion": name} if name else {}
            )
        )
        for row, name in enumerate(emotions)
    ]


@pytest.fixture
def data():
    """Three items of 2, 4 and 3 frames; the second has no emotion."""
    items = make_items("joy", None, "anger")
    mel = [np.full((2, frames), frames, dtype=np.float32) for frames in (2, 4, 3)]
    late = [np.full((frames, 2), -frames, dtype=np.float32) for frames in (1, 1, 2)]
    vector = [np.array([row, 10.0 * row], dtype=np.float32) for row in range(3)]
    classes = {"emotion": ["anger", "joy"], "speaker": ["table/0", "table/1"]}
    shapes = {"mel": (2, None), "late": (None, 2), "vector": (2,)}
    return ItemData(items, {"mel": mel, "late": late, "vector": vector}, shapes, classes)


def test_views_are_padded_to_the_longest(data):
    batch = data.batch([1, 0])
    assert len(batch) == 2
    assert batch.views["mel"].tolist() == [[[4, 4, 4, 4]] * 2, [[2, 2, 0, 0]] * 2]
    assert batch.lengths["mel"].tolist() == [4, 2]
    assert batch.views["vector"].tolist() == [[1, 10], [0, 0]]
    assert batch.views["late"].tolist() == [[[-1, -1]], [[-1, -1]]]
    # Nothing was padded in these two: no lengths.
    assert set(batch.lengths) == {"mel"}
    assert data.batch([0, 2]).views["late"].tolist() == [[[-1, -1], [0, 0]], [[-2, -2], [-2, -2]]]
    assert data.batch([0, 2]).lengths["late"].tolist() == [1, 2]
    assert batch.index.tolist() == [1, 0]
    assert all(view.dtype == torch.float32 for view in batch.views.values())


def test_labels_are_masked_where_they_are_missing(data):
    batch = data.batch([0, 1, 2])
    assert batch.targets["emotion"].tolist()[0::2] == [1, 0]
    assert batch.masks["emotion"].tolist() == [True, False, True]
    assert 0 <= batch.targets["emotion"][1] < 2  # a class all the same: it is looked up before it is masked
    assert batch.targets["speaker"].tolist() == [0, 1, 0]
    assert set(batch.masks) == {"emotion"}
    assert data.batch([2, 0]).masks == {}
    assert data.truth("emotion").tolist() == [1, -1, 0]


def test_a_label_outside_the_classes_is_missing():
    data = ItemData(make_items("joy", "fear"), {}, {}, {"emotion": ["anger", "joy"]})
    assert data.truth("emotion").tolist() == [1, -1]


def test_batches_keep_the_order(data):
    batches = list(data.batches([2, 0, 1], 2))
    assert [batch.index.tolist() for batch in batches] == [[2, 0], [1]]
    assert len(data) == 3


def test_an_item_without_a_frame_is_named(data):
    data.arrays["mel"][1] = np.zeros((2, 0), dtype=np.float32)
    with pytest.raises(UserError, match=r"^table/1: shorter than one window of view 'mel'"):
        data.batch([0, 1])
