"""MixFormer with CvT-21 at its real size; weights by rule, as the reference tensors' were."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch
from torch import Tensor

from stpn_core.weights import load_state
from stpn_vot.box_geometry import cxcywh_of_corners
from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import convert_tracker


def drawn(salt: str, name: str, shape: list[int]) -> Tensor:
    seed = zlib.crc32(f"{salt}/{name}".encode()) & 0xFFFFFFFF
    z = np.random.RandomState(seed).standard_normal(shape)
    if name.endswith("running_var"):
        z = 0.5 + np.abs(z)
    elif name.endswith("running_mean"):
        z = 0.3 * z
    elif name.endswith(".weight") and len(shape) == 1:
        z = 1 + 0.2 * z
    elif name.endswith(".bias"):
        z = 0.1 * z
    elif name == "score_branch.score_token":
        z = 0.7 * z
    else:  # images, too: the sums of the inputs say so
        factor = 6.0 if name.startswith("box_head.conv5_") else 1.0
        z = factor * 1.2 * z / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(z.astype(np.float32))


@pytest.mark.slow
@torch.no_grad()
def test_the_published_size_gives_the_original_s_numbers(golden, shared):
    tensors, facts = golden("vot/mixformer_cvt21_full")
    keys = json.loads((shared / "golden/vot/mixformer_cvt21_full_keys.json").read_text())["keys"]
    state = {name: drawn(facts["salt"], name, shape) for name, shape in keys.items()}
    sums = [float(state[name].double().sum()) for name in facts["check"]["weight_sums_keys"]]
    assert torch.allclose(torch.tensor(sums).double(), tensors["out.check.weight_sums"], atol=1e-3)
    sides = {"template": 128, "online": 128, "search": 320}
    inputs = {k: drawn(facts["salt"], f"input.{k}", [1, 3, n, n]) for k, n in sides.items()}
    totals = torch.tensor([float(image.double().sum()) for image in inputs.values()])
    assert torch.allclose(totals.double(), tensors["out.check.input_sums"], atol=1e-3)
    converted = convert_tracker(state, {})
    assert converted is not None
    model = build_tracker(TrackerConfig(predictor=None)).eval()
    report = load_state(model, converted[0], what="MixFormer", min_matched=1.0)
    assert not report.unexpected
    cache = model.encode_templates(torch.stack([inputs["template"], inputs["online"]], dim=1))
    maps = model.encoder(inputs["search"], None, cache.blocks).maps
    found = model.locate(maps[2], cache)
    logits = model.box_head.logits(maps[2])
    assert found.scores is not None
    for value, name, tolerance in (
        (maps[0].mean(1), "stage0.search_cell_mean", 1e-3),
        (maps[1].mean(1), "stage1.search_cell_mean", 1e-3),
        (maps[2].mean(1), "stage2.search_cell_mean", 1e-3),
        (maps[2].mean((2, 3)), "stage2.search_ch_mean", 1e-3),
        (maps[2][:, :16], "stage2.search_ch0_16", 1e-3),
        (cache.first[:, :16], "stage2.template_ch0_16", 1e-3),
        (found.boxes, "corner_xyxy", 5e-5),
        (cxcywh_of_corners(found.boxes)[:, None], "pred_boxes", 5e-5),
        (found.scores, "pred_scores", 1e-3),
        (logits[0].flatten(1).softmax(1), "prob_tl", 1e-3),
        (logits[1].flatten(1).softmax(1), "prob_br", 1e-3),
    ):
        wanted = tensors[f"out.{name}"]
        assert value.shape == wanted.shape
        assert (value - wanted).abs().max() <= tolerance, name
