from __future__ import annotations

import sys

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_vod.explain.tsne import NEIGHBOURS, embed, neighbour_agreement, require_sklearn


def blobs(apart: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 12)
    features = rng.normal(size=(24, 80)) + apart * labels[:, None]
    return features.astype(np.float32), labels


def test_the_same_seed_gives_the_same_points_and_blobs_stay_apart() -> None:
    features, labels = blobs(8)
    points = embed(features, 3)
    assert points.shape == (24, 2)
    assert np.array_equal(points, embed(features, 3))
    own = [points[labels == i] for i in (0, 1)]
    between = np.linalg.norm(own[0].mean(0) - own[1].mean(0))
    assert between > 2 * max(np.linalg.norm(o - o.mean(0), axis=1).mean() for o in own)


def test_features_that_do_not_vary_are_one_point() -> None:
    assert not embed(np.ones((12, 5), np.float32), 0).any()


def test_agreement_by_brute_force() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(20, 3)).astype(np.float32) + 100
    labels, videos = rng.integers(0, 3, 20), rng.integers(0, 4, 20)
    agreement, chance = [], []
    for i in range(20):
        others = [j for j in range(20) if videos[j] != videos[i]]
        nearest = sorted(others, key=lambda j: np.linalg.norm(features[i] - features[j]))
        agreement.append(np.mean([labels[j] == labels[i] for j in nearest[:NEIGHBOURS]]))
        chance.append(np.mean([labels[j] == labels[i] for j in others]))
    found = neighbour_agreement(features, labels, videos)
    assert found == (pytest.approx(np.mean(agreement)), pytest.approx(np.mean(chance)))


def test_agreement_is_high_for_blobs_and_undefined_in_one_video() -> None:
    features, labels = blobs(8)
    found = neighbour_agreement(features, labels, np.arange(24))
    assert found is not None
    assert found[0] == 1
    assert neighbour_agreement(features, labels, np.zeros(24)) is None


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_sklearn()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"stpn-vod\[explain\]"):
        require_sklearn()
