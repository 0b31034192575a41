"""An encoder that can tell classes apart, where nobody has published weights of its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from stpn_core.encoder import PromptedEncoder
from stpn_core.weights import save_weights


def train_encoder(
    encoder: PromptedEncoder,
    draw: Callable[[], tuple[Tensor, Tensor]],
    classes: int,
    steps: int,
    *,
    lr: float = 1e-3,
) -> None:
    """Teach `encoder` to classify images, in place, without prompts; its head is thrown away.

    draw: the next batch, normalised images (B, 3, H, W) and labels (B,). Random numbers come from
    torch's global generator. Linear layers start afresh: the usual deviation of 0.02 is made for
    wide networks and next to nothing in a small one.
    """
    head = nn.Linear(encoder.support_dim, classes)
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], weight_decay=0.05)
    bar = tqdm(range(steps), desc="common start", unit="step")
    for step in bar:
        for group in optimizer.param_groups:  # warm-up, plateau, down to zero
            group["lr"] = lr * min(1, (step + 1) / 50, (steps - step) / (0.4 * steps))
        images, labels = draw()
        scores = head(encoder.embed(images).mean(dim=(1, 2)))
        loss = cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = (scores.argmax(1) == labels).float().mean()
        bar.set_postfix_str(f"loss {loss.item():.3f}, {right.item():.0%} right", refresh=False)


def save_encoder(path: Path, encoder: PromptedEncoder) -> None:
    """Write an encoder's weights so that `load_backbone` reads them."""
    save_weights(
        path, {f"encoder.{name}": value for name, value in encoder.state_dict().items()}, {}
    )
