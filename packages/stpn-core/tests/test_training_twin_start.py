from __future__ import annotations

import torch
from torch import nn

from stpn_core.training import same_start


class Toy(nn.Module):
    def __init__(self, *, prompts: bool) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 2)
        if prompts:
            self.predictor = nn.Linear(2, 3)
        self.head = nn.Linear(2, 4)


def started(*, prompts: bool, seed: int = 0, keep: str = "") -> dict[str, torch.Tensor]:
    model = same_start(lambda: Toy(prompts=prompts), lambda: Toy(prompts=False), seed, keep=keep)
    return model.state_dict()


def test_what_two_share_is_the_same_and_the_rest_is_there():
    prompted, plain = started(prompts=True), started(prompts=False)
    assert set(prompted) - set(plain) == {"predictor.weight", "predictor.bias"}
    assert all(torch.equal(prompted[key], value) for key, value in plain.items())
    assert not torch.equal(prompted["head.weight"], started(prompts=True, seed=1)["head.weight"])


def test_control_built_alone_their_heads_differ():
    torch.manual_seed(0)
    prompted = Toy(prompts=True).state_dict()
    plain = started(prompts=False)
    assert torch.equal(prompted["encoder.weight"], plain["encoder.weight"])
    assert not torch.equal(prompted["head.weight"], plain["head.weight"])


def test_parts_with_weights_from_outside_are_left_alone():
    def pretrained() -> Toy:
        model = Toy(prompts=True)
        nn.init.constant_(model.encoder.weight, 7.0)
        return model

    def build_twin() -> Toy:
        return Toy(prompts=False)

    kept = same_start(pretrained, build_twin, 0, keep="encoder.").state_dict()
    assert bool((kept["encoder.weight"] == 7).all())
    assert torch.equal(kept["head.weight"], started(prompts=False)["head.weight"])
    taken = same_start(pretrained, build_twin, 0).state_dict()
    assert not bool((taken["encoder.weight"] == 7).any())
