from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.errors import InputError
from stpn_vod.app.options import BURST, SpoiledVideo, read_options
from stpn_vod.predict_config import PredictConfig

from ..test_stream import scene, video

DEFAULT = PredictConfig(policy="online", count=6, short_side=300, long_side=500)


class Source(list):
    name = "street"
    length_hint = 20


def test_what_is_not_given_stays():
    options = read_options({}, DEFAULT)
    assert options.predict == DEFAULT
    assert not any(options.spoils(t) for t in range(40))


def test_what_is_given_is_taken():
    options = read_options(
        {"policy": "uniform", "count": "3", "stride": "5", "short_side": "150", "cuts": "false",
         "max_frames": "7", "kind": "blur", "severity": "0.5", "spoil": "bursts"}, DEFAULT,
    )  # fmt: skip
    assert options.predict == dataclasses.replace(
        DEFAULT, policy="uniform", count=3, stride=5, short_side=150, long_side=250, cuts=False,
        max_frames=7,
    )  # fmt: skip
    assert (options.kind, options.severity, options.spoil) == ("blur", 0.5, "bursts")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"policy": "future"}, "policy: 'future' is none of uniform, window, online"),
        ({"count": "many"}, "count: "),
        ({"count": "0"}, "count: must be 1 or more"),
        ({"stride": "-1"}, "stride: must be 1 or more"),
        ({"short_side": "100000"}, "short_side: must be from 32 to"),
        ({"max_frames": "-3"}, "max_frames: must be 0 or more"),
        ({"severity": "2"}, "severity: must be from 0 to 1"),
        ({"severity": "nan"}, "severity: must be from 0 to 1"),
        ({"kind": "rain"}, "kind: 'rain' is none of"),
        ({"precision": "fp8"}, "precision: no such setting"),
        ({"colour": "red", "cuts": "perhaps"}, "colour: no such setting; cuts: "),
    ],
)
def test_what_cannot_work_is_named(fields, said):
    with pytest.raises(InputError) as caught:
        read_options(fields, DEFAULT)
    assert said in str(caught.value)


def test_bursts_alternate_with_clean_frames_and_every_pass_is_the_same():
    fields = {"kind": "noise", "severity": "1", "spoil": "bursts"}
    options = read_options(fields, DEFAULT)
    frames = video(scene(20, seed=3))
    first, second = (list(SpoiledVideo(Source(frames), options)) for _ in range(2))
    for clean, one, two in zip(frames, first, second, strict=True):
        assert torch.equal(one.image, two.image)
        burst = clean.index // BURST % 2 == 1
        assert options.spoils(clean.index) == burst
        assert torch.equal(clean.image, one.image) != burst
        assert (one.index, one.time, one.name) == (clean.index, clean.time, clean.name)


def test_severity_0_and_no_kind_leave_frames_alone():
    frames = video(scene(3, seed=3))
    for fields in ({"kind": "noise", "severity": "0"}, {"severity": "1"}):
        same = SpoiledVideo(Source(frames), read_options(fields, DEFAULT))
        assert all(torch.equal(a.image, b.image) for a, b in zip(frames, same, strict=True))
