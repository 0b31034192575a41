from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import torch

from stpn_data.image import decode_image
from stpn_data.shots import colour_distance, layout_likeness, shot_changed
from stpn_data.transforms import cover

SCENES = (
    "vid_wnid/Data/VID/train/davis16_a_cows",
    "vid_wnid/Data/VID/train/davis16_a_drift_straight",
    "vid_wnid/Data/VID/val/davis16_a_car_roundabout",
    "vid_wnid/Data/VID/val/davis16_a_dog",
    "vid_own_classes/Data/VID/train/zebrafish_01",
    "vid_own_classes/Data/VID/train/pets09_s2l1_PETS09_S2L1",
    "vid_own_classes/Data/VID/val/otb_Jogging",
    "youtube_vis/train/JPEGImages/davis16_a_bmx_trees",
    "youtube_vis/train/JPEGImages/davis16_a_breakdance",
    "youtube_vis/valid/JPEGImages/davis16_a_parkour",
    "got10k/val/GOT-10k_Val_000001",
    "frames/ILSVRC2015_val_00007010",
)


def frames_of(folder: Path) -> list[torch.Tensor]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
    return [decode_image(file) for file in files[:20]]


def test_no_cut_within_real_videos_and_one_where_two_meet(shared: Path) -> None:
    ends = {}
    for scene in SCENES:
        frames = frames_of(shared / "data" / scene)
        cuts = [i for i, (a, b) in enumerate(pairwise(frames)) if shot_changed(a, b)]
        assert cuts == [], f"{scene}: false cuts after frames {cuts}"
        ends[scene] = frames[0], frames[-1]
    for a, b in permutations(SCENES, 2):
        last = ends[a][1]
        first = cover(ends[b][0], (last.shape[1], last.shape[2]))
        assert shot_changed(last, first), f"no cut found between {a} and {b}"


def test_light_alone_and_motion_alone_are_no_cut() -> None:
    torch.manual_seed(0)
    blobs = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6) * 200, size=(96, 128))[0]
    frame = blobs.to(torch.uint8)
    darker = (blobs * 0.4).to(torch.uint8)
    moved = frame.roll((0, 40), (1, 2))
    assert colour_distance(frame, darker) > 0.5
    assert layout_likeness(frame, darker) > 0.95
    assert not shot_changed(frame, darker)
    assert colour_distance(frame, moved) < 0.05
    assert layout_likeness(frame, moved) < 0.5
    assert not shot_changed(frame, moved)
    assert shot_changed(frame, 255 - moved)


def test_blank_frames_and_other_sizes() -> None:
    black, white = torch.zeros(2, 3, 40, 50, dtype=torch.uint8)
    white += 255
    assert not shot_changed(black, black)
    assert shot_changed(black, white)
    assert shot_changed(black, torch.zeros(3, 50, 40, dtype=torch.uint8))
