from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stpn_data.errors import DataError
from stpn_data.transforms import EvalResize, Geometry, TrainTransform, cover, fit, resize
from stpn_data.transforms.geometry import Crop

SMALL = TrainTransform(
    short_sides=(64, 72, 80),
    max_long=133,
    crop_short_sides=(40, 50, 60),
    crop_range=(38, 60),
)
VARIANTS = {
    "released": SMALL,
    "always crop": TrainTransform(**{**vars(SMALL), "crop_probability": 1.0}),
    "independent": TrainTransform(
        **{**vars(SMALL), "crop_probability": 1.0, "independent_crop": True}
    ),
    "square": TrainTransform(**{**vars(SMALL), "square": True}),
    "cv2": TrainTransform(**{**vars(SMALL), "resampling": "cv2"}),
}
sides = st.integers(1, 2000)
numbers = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])


def test_fit_is_the_released_rounding() -> None:
    assert fit((720, 1280), 600, 1000) == (563, 1000)  # 562.5 rounds up
    assert fit((480, 640), 600, 1000) == (600, 800)
    assert fit((1280, 720), 800, 1333) == (1333, 750)
    assert fit((1, 5000), 600, 1000) == (1, 1000)


@given(height=sides, width=sides)
def test_fit_keeps_ratio_and_limits(height: int, width: int) -> None:
    h, w = fit((height, width), 600, 1000)
    assert min(h, w) <= 600
    assert max(h, w) <= 1000
    assert min(h, w) == 600 or max(h, w) == 1000
    if min(h, w) > 20:
        assert h / w == pytest.approx(height / width, rel=0.05)


def test_resize_like_pillow_and_like_opencv() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (90, 160, 3), np.uint8))
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    expected = np.asarray(image.resize((100, 56), Image.Resampling.BILINEAR))
    difference = resize(tensor, (56, 100)).permute(1, 2, 0).numpy().astype(int) - expected
    assert abs(difference).max() <= 1
    # INTER_LINEAR by its definition: two neighbours per axis at half-pixel centres, no filter
    sharp = resize(tensor, (56, 100), "cv2").double()
    y, x = ((torch.arange(n) + 0.5) * m / n - 0.5 for n, m in ((56, 90), (100, 160)))
    top, left = y.floor().long(), x.floor().long()
    fy, fx = (y - top)[:, None], (x - left)[None]
    t, left = tensor.double(), left[None]
    top = top[:, None]
    naive = (t[:, top, left] * (1 - fx) + t[:, top, left + 1] * fx) * (1 - fy)
    naive += (t[:, top + 1, left] * (1 - fx) + t[:, top + 1, left + 1] * fx) * fy
    assert (sharp - naive).abs().max() <= 1
    assert abs(sharp.permute(1, 2, 0).numpy() - expected).max() > 20  # the two do differ


def test_cover_keeps_the_middle_and_the_ratio() -> None:
    image = torch.zeros(3, 40, 100, dtype=torch.uint8)
    image[:, :, 30:70] = 200
    assert (cover(image, (20, 20)) == 200).all()
    assert cover(image, (40, 100)) is image
    assert cover(image, (7, 300)).shape == (3, 7, 300)


def painted(size: tuple[int, int], boxes: torch.Tensor) -> torch.Tensor:
    """One channel per box, white inside it."""
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for channel, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        image[channel, y1:y2, x1:x2] = 255
    return image


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [(72, 128), (128, 72), (61, 61)])
def test_boxes_stay_on_their_pixels(name: str, size: tuple[int, int]) -> None:
    boxes = torch.tensor([[5.0, 6, 31, 40], [20, 10, 60, 50], [0, 0, 12, 60]])
    image = painted(size, boxes)
    seen = 0
    for seed in range(25):
        for place in VARIANTS[name].draw(np.random.default_rng(seed), size, 3):
            out = place.images(image)
            assert out.shape == (3, *place.size)
            assert out.dtype == torch.uint8
            found, kept = place.boxes(boxes)
            for box, channel in zip(found, kept.tolist(), strict=True):
                rows, columns = (out[channel] > 127).nonzero().unbind(1)
                if len(rows) == 0:  # half a pixel wide
                    assert min(box[2] - box[0], box[3] - box[1]) < 1.5
                    continue
                pixels = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                assert (pixels - box).abs().max() <= 1.51, (place, box, pixels)
                seen += 1
            lost = sorted(set(range(3)) - set(kept.tolist()))
            assert all((out[channel] > 200).sum() < 3 * max(place.size) for channel in lost)
    assert seen > 100


@settings(max_examples=500, deadline=None)
@given(
    boxes=st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=6),
    seed=st.integers(0, 10**6),
    height=st.integers(32, 300),
    width=st.integers(32, 300),
)
def test_whatever_the_annotation_boxes_come_out_valid(
    boxes: list[tuple[float, ...]], seed: int, height: int, width: int
) -> None:
    given_boxes = torch.tensor(boxes).reshape(-1, 4)
    (place,) = SMALL.draw(np.random.default_rng(seed), (height, width), 1)
    found, kept = place.boxes(given_boxes)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    limits = torch.tensor([place.size[1], place.size[0]] * 2)
    assert (found >= 0).all()
    assert (found <= limits).all()
    assert (found[:, 2:] - found[:, :2] >= 1).all()
    assert kept.tolist() == sorted(set(kept.tolist()))
    dropped = set(range(len(boxes))) - set(kept.tolist())
    top, left, h, w = place.crop
    for row in dropped:
        x1, y1, x2, y2 = boxes[row]
        finite = all(map(math.isfinite, boxes[row]))
        inside_w = min(x2 - left, w) - max(x1 - left, 0)
        inside_h = min(y2 - top, h) - max(y1 - top, 0)
        thin = inside_w * place.scale[0] < 1.01 or inside_h * place.scale[1] < 1.01
        assert not finite or thin


def test_flipping_twice_and_clipping_twice_change_nothing() -> None:
    size = (50, 70)
    boxes = torch.tensor([[-5.0, 3, 20, 90], [30, 10, 69, 12]])
    same = Geometry(Crop(0, 0, *size), size, size)
    mirrored = Geometry(Crop(0, 0, *size), size, size, flip=True)
    once = same.boxes(boxes).boxes
    assert torch.equal(same.boxes(once).boxes, once)
    assert torch.equal(mirrored.boxes(mirrored.boxes(once).boxes).boxes, once)
    image = torch.randint(0, 255, (2, 3, *size), dtype=torch.uint8)
    assert torch.equal(mirrored.images(mirrored.images(image)), image)
    assert not torch.equal(mirrored.images(image), image)


def test_one_draw_for_a_clip_unless_crops_are_independent() -> None:
    crops = set()
    for seed in range(20):
        first, *rest = VARIANTS["always crop"].draw(np.random.default_rng(seed), (200, 300), 4)
        assert all(place == first for place in rest)
        assert first == VARIANTS["always crop"].draw(np.random.default_rng(seed), (200, 300), 2)[1]
        drawn = VARIANTS["independent"].draw(np.random.default_rng(seed), (200, 300), 4)
        assert len({(p.size, p.canvas, p.flip) for p in drawn}) == 1
        crops |= {len({p.crop for p in drawn})}
    assert max(crops) == 4


def test_the_released_policies() -> None:
    policy = TrainTransform()
    size, whole, flips, shorts, crops = (720, 1280), 0, 0, set(), []
    for seed in range(600):
        (place,) = policy.draw(np.random.default_rng(seed), size, 1)
        flips += place.flip
        assert max(place.size) <= 1333
        if place.crop == (0, 0, *size):
            whole += 1
            shorts.add(place.size)
        else:
            crops.append(place.crop)
            assert min(place.size) in range(350, 801)
    assert 250 < whole < 350
    assert 250 < flips < 350
    assert shorts == {fit(size, short, 1333) for short in range(480, 801, 32)}
    # windows of 384 to 600 pixels in an image of 400, 500 or 600 pixels height
    heights = [crop.height / 720 for crop in crops]
    assert 384 / 600 - 0.01 <= min(heights) < 0.7
    assert max(heights) <= 1
    assert min(crop.width / 1280 for crop in crops) >= 384 / 1067 - 0.01


def test_square_and_bad_settings() -> None:
    (place,) = TrainTransform((96,), square=True).draw(np.random.default_rng(0), (50, 90), 1)
    assert place.size == (96, 96)
    for settings_, message in (
        ({"short_sides": ()}, "must be given"),
        ({"crop_range": (5, 3)}, "smallest, largest"),
        ({"flip_probability": 1.5}, "between 0 and 1"),
    ):
        with pytest.raises(DataError, match=message):
            TrainTransform(**settings_)


def test_eval_resize_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    places = EvalResize().draw(rng, (720, 1280), 3)
    assert rng.bit_generator.state == state
    assert places == (EvalResize().geometry((720, 1280)),) * 3
    assert places[0].size == (563, 1000)
    assert places[0].scale == (1000 / 1280, 563 / 720)
