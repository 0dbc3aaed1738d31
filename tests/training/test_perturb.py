import pytest

torch = pytest.importorskip("torch")

from serkit.errors import UserError  # noqa: E402
from serkit.networks.network import Batch  # noqa: E402
from serkit.training import perturb  # noqa: E402
from serkit.training.perturb import Crop, Mask, MixStyle, Tilt, Warp  # noqa: E402

BANDS, FRAMES = 8, 40
LENGTHS = torch.tensor([40, 25, 10])
ALL = [
    Crop("mel", 16),
    Tilt("mel", 3.0),
    Warp("mel", 0.1, 1.5),
    Mask("mel", bands=3, frames=6, count=2),
    MixStyle("mel", share=1.0),
]


def padded(values, lengths):
    """Zeros behind each item's length."""
    return values * (torch.arange(values.shape[2]) < lengths[:, None])[:, None]


def batch(values=None, lengths=LENGTHS):
    """Two views with lengths and all else that a batch can carry; only `mel` is to be changed."""
    if values is None:
        values = torch.randn(3, BANDS, FRAMES, generator=torch.Generator().manual_seed(0)) - 5
    if lengths is not None:
        values = padded(values, lengths)
    size = len(values)
    return Batch(
        views={"mel": values, "other": torch.ones(size, 2, 5)},
        lengths={"other": torch.full((size,), 5)} | ({} if lengths is None else {"mel": lengths}),
        targets={"emotion": torch.arange(size)},
        masks={"emotion": torch.ones(size, dtype=torch.bool)},
        index=torch.arange(size) + 7,
    )


@pytest.mark.parametrize("change", ALL, ids=lambda change: type(change).__name__)
@pytest.mark.parametrize("lengths", [LENGTHS, None])
def test_all_but_the_view_stays(change, lengths):
    before = batch(lengths=lengths)
    kept = before.views["mel"].clone()
    torch.manual_seed(0)
    after = change(before)
    assert torch.equal(before.views["mel"], kept), "the batch given was changed"
    assert not torch.equal(after.views["mel"], before.views["mel"])
    assert after.views["other"] is before.views["other"]
    assert after.lengths["other"] is before.lengths["other"]
    assert after.targets is before.targets
    assert after.masks is before.masks
    assert after.index is before.index
    if isinstance(change, Crop):
        assert after.views["mel"].shape == (3, BANDS, 16)
        assert "mel" not in after.lengths, "what is cropped has no padding"
    else:
        assert after.views["mel"].shape == (3, BANDS, FRAMES)
        valid = torch.full((3,), FRAMES) if lengths is None else lengths
        assert torch.equal(after.lengths.get("mel", valid), valid)
        assert torch.equal(padded(after.views["mel"], valid), after.views["mel"]), "padding is no longer zero"


@pytest.mark.parametrize("change", ALL, ids=lambda change: type(change).__name__)
def test_chance_comes_from_torch(change):
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(change(batch()).views["mel"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


# MixStyle leaves items alone that do not differ.
@pytest.mark.parametrize("change", ALL[:-1], ids=lambda change: type(change).__name__)
def test_every_item_is_changed_in_its_own_way(change):
    torch.manual_seed(0)
    same = torch.randn(1, BANDS, FRAMES).expand(12, -1, -1).clone()
    after = change(batch(same, lengths=None)).views["mel"]
    assert len({tuple(item.flatten().tolist()) for item in after}) > 6


def places(items, lengths):
    """A view whose values tell band and frame."""
    values = 100.0 * torch.arange(BANDS)[:, None] + torch.arange(FRAMES) + 1
    return batch(values.expand(items, -1, -1).clone(), lengths)


def test_crop_takes_a_stretch_of_what_is_there():
    torch.manual_seed(0)
    lengths = torch.tensor([40, 19, 16]).repeat(200)
    after = Crop("mel", 16)(places(600, lengths)).views["mel"]
    frames = after[:, 0] - 1
    assert torch.equal(after, frames[:, None] + 1 + 100.0 * torch.arange(BANDS)[:, None]), "bands were torn apart"
    assert torch.equal(frames - frames[:, :1], torch.arange(16.0).expand(600, -1))
    starts = [set(frames[kind::3, 0].int().tolist()) for kind in range(3)]
    assert starts == [set(range(25)), set(range(4)), {0}]


def test_crop_repeats_what_is_too_short():
    torch.manual_seed(0)
    after = Crop("mel", 16)(places(100, torch.full((100,), 5))).views["mel"]
    frames = (after[:, 0] - 1).int()
    expected = (frames[:, :1] + torch.arange(16)) % 5
    assert torch.equal(frames, expected.int())
    assert set(frames[:, 0].tolist()) == set(range(5))


def test_tilt_is_the_same_at_all_times_and_bounded():
    torch.manual_seed(0)
    before = batch(torch.zeros(200, BANDS, FRAMES), lengths=None)
    change = Tilt("mel", 3.0)(before).views["mel"]
    assert torch.equal(change, change[:, :, :1].expand_as(change))
    curve = change[:, :, 0]
    assert 3.0 < curve.abs().max() <= 4.5
    slope = (curve[:, -1] - curve[:, 0]) / 2
    assert slope.min() < -2
    assert slope.max() > 2
    assert curve.mean(dim=0).abs().max() < 0.5
    assert torch.equal(Tilt("mel", 0.0)(batch()).views["mel"], batch().views["mel"])


def test_warp_by_nothing_changes_nothing():
    assert torch.equal(Warp("mel")(batch()).views["mel"], batch().views["mel"])


def test_warp_moves_bands_along_a_line():
    torch.manual_seed(0)
    ramp = torch.arange(64.0)[:, None].expand(300, -1, 4).clone()
    after = Warp("mel", stretch=0.1, shift=2.0)(batch(ramp, lengths=None)).views["mel"]
    assert torch.equal(after, after[:, :, :1].expand_as(after))
    inner = after[:, 5:50, 0]  # beyond it a band may come from outside, and is the first or last
    steps = inner.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-4, rtol=0)
    stretch = steps[:, 0] - 1
    shift = inner[:, 0] - 5 * (1 + stretch)
    assert 0.09 < stretch.abs().max() <= 0.1001
    assert 1.8 < shift.abs().max() <= 2.001
    assert after.min() >= 0
    assert after.max() <= 63


def test_mask_hides_no_more_than_it_says():
    torch.manual_seed(0)
    before = batch(torch.randn(300, BANDS, FRAMES), torch.tensor([40, 30, 12]).repeat(100))
    x, lengths = before.views["mel"], before.lengths["mel"]
    seen = set()
    for options in ({"bands": 3}, {"frames": 6}, {"bands": 2, "frames": 4, "count": 2}):
        after = Mask("mel", **options)(before).views["mel"]
        valid = torch.arange(FRAMES) < lengths[:, None]
        changed = (after != x) & valid[:, None]
        count = options.get("count", 1)
        # A band is hidden at all times there are, a frame in all bands.
        bands = (changed | ~valid[:, None]).all(dim=2).sum(dim=1)
        frames = (changed.all(dim=1) & valid).sum(dim=1)
        if "frames" not in options:
            assert torch.equal(changed.any(dim=2).sum(dim=1), bands)
        if "bands" not in options:
            assert torch.equal(changed.any(dim=1).sum(dim=1), frames)
        assert bands.max() <= count * options.get("bands", 0)
        assert frames.max() <= count * options.get("frames", 0)
        seen |= {("bands", width) for width in bands.tolist()} | {("frames", width) for width in frames.tolist()}
        mean = (x.sum(dim=2) / lengths[:, None])[:, :, None].expand_as(x)
        torch.testing.assert_close(after[changed], mean[changed], msg="not the level of what is there")
    assert seen >= {("bands", width) for width in range(4)} | {("frames", width) for width in range(7)}
    assert torch.equal(Mask("mel")(before).views["mel"], x)


def test_mix_style_exchanges_level_and_spread_but_not_the_course():
    before = batch(lengths=torch.tensor([40, 25, 10]))
    before.views["mel"][:2] *= torch.tensor([2.0, 0.5])[:, None, None]
    lengths = before.lengths["mel"]

    def described(x):
        """Mean, deviation and standardized course of each item's first band."""
        items = [item[0, :count] for item, count in zip(x, lengths, strict=True)]
        return [(float(one.mean()), float(one.std(correction=0)), (one - one.mean()) / one.std()) for one in items]

    old = described(before.views["mel"])
    mixed = 0
    for seed in range(20):
        torch.manual_seed(seed)
        new = described(MixStyle("mel", share=1.0)(before).views["mel"])
        for row, (mean, spread, course) in enumerate(new):
            torch.testing.assert_close(course, old[row][2])
            # Both lie at the same place between the item's own and those of one item of the batch.
            shares = [
                ((mean - old[row][0]) / (other[0] - old[row][0]), (spread - old[row][1]) / (other[1] - old[row][1]))
                for other in old
                if other is not old[row]
            ]
            changed = abs(mean - old[row][0]) > 1e-5
            mixed += changed
            assert not changed or any(0 <= a <= 1.001 and a == pytest.approx(b, abs=1e-3) for a, b in shares)
    assert mixed > 20


def test_mix_style_changes_a_share_of_the_items():
    torch.manual_seed(0)
    before = batch(torch.randn(1000, BANDS, FRAMES), lengths=None)
    after = MixStyle("mel", share=0.25)(before).views["mel"]
    changed = ((after - before.views["mel"]).abs() > 1e-4).flatten(1).any(1)
    assert changed.float().mean() == pytest.approx(0.25, abs=0.04)


def test_mix_style_of_a_constant_band():
    same = torch.zeros(4, BANDS, FRAMES)
    torch.manual_seed(0)
    assert torch.equal(MixStyle("mel", share=1.0)(batch(same, lengths=None)).views["mel"], same)


@pytest.mark.parametrize(("option", "value"), [("share", 0.0), ("share", 1.5), ("alpha", 0.0)])
def test_mix_style_refuses(option, value):
    with pytest.raises(UserError, match=f"{option} must be above 0.*got {value}"):
        perturb.build("mix_style", view="mel", **{option: value})


@pytest.mark.parametrize("name", perturb.PERTURBATIONS)
def test_build(name):
    options = {"crop": {"frames": 16}, "tilt": {"decibels": 3.0}}.get(name, {})
    assert perturb.build(name, view="mel", **options)(batch()).views.keys() == {"mel", "other"}
    with pytest.raises(UserError, match=f"unknown option of perturbation '{name}' 'vieuw'. Did you mean 'view'"):
        perturb.build(name, vieuw="mel", **options)
    with pytest.raises(UserError, match=r"unknown view 'mell'. Did you mean 'mel'\? Available: mel, other"):
        perturb.build(name, view="mell", **options)(batch())


def test_an_unknown_name():
    with pytest.raises(UserError, match=r"unknown perturbation 'corp'. Did you mean 'crop'\? Available: crop, mask"):
        perturb.build("corp", view="mel")


@pytest.mark.parametrize("shape", [(3, 10), (3, 1, 8, 20)])
def test_only_bands_over_time_can_be_perturbed(shape):
    with pytest.raises(UserError, match=r"view 'mel' has shape \(.*\); only \(bands, time\) can be perturbed"):
        perturb.build("mask", view="mel")(Batch({"mel": torch.zeros(shape)}))
