"""t-SNE of object features, and a number for what the eye sees in it.

n objects, D channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError

FEWEST = 10  # objects; with less there is nothing to embed
PERPLEXITY = 30.0
COMPONENTS = 50  # principal components that t-SNE starts from
NEIGHBOURS = 5


def require_sklearn() -> None:
    """Raise InputError that says what to install unless scikit-learn is there."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError(
            "t-SNE needs scikit-learn, which the extra `explain` brings: "
            "pip install 'stpn-vod[explain]'; or leave it out with --objects 0"
        ) from error


def embed(features: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Features (n, D) of n >= FEWEST objects as points (n, 2); the same for the same seed.

    Principal components first, then t-SNE from the first two of them. One thread: the order of sums
    decides where points end up.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not np.ptp(features, axis=0).any():  # nothing varies, and both would divide by that
        return np.zeros((len(features), 2), np.float32)
    with threadpool_limits(1):
        centred = features - features.mean(0)
        count = min(COMPONENTS, len(features) - 1, features.shape[1])
        reduced = PCA(count, svd_solver="full").fit_transform(centred)
        perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
        points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        return points.fit_transform(reduced).astype(np.float32)


def neighbour_agreement(
    features: NDArray[np.float32], labels: NDArray[np.int64], videos: NDArray[np.int64]
) -> tuple[float, float] | None:
    """How often the nearest objects of other videos are of one's own class, and by chance.

    Mean over objects of the share among the NEIGHBOURS nearest in feature space (Euclidean), not in
    the picture. Objects of one's own video do not count: they are nearly the same image. Chance: the
    share among all objects of other videos. None if an object has no NEIGHBOURS elsewhere.
    """
    others = videos[:, None] != videos
    if not len(features) or others.sum(1).min() < NEIGHBOURS:
        return None
    same = labels[:, None] == labels
    wide = features.astype(np.float64)
    wide -= wide.mean(0)
    squares = (wide**2).sum(1)
    distance = squares[:, None] + squares - 2 * wide @ wide.T
    distance[~others] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    chance = (same & others).sum(1) / others.sum(1)
    return float(np.take_along_axis(same, nearest, 1).mean()), float(chance.mean())
