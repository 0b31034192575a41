from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.training import Ema


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def step(net: nn.Module) -> None:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p))
    net(torch.randn(5, 3))  # moves the running means


def test_it_is_the_average_it_says() -> None:
    net = model()
    ema = Ema(net, decay=0.9)
    expected = net[0].weight.detach().double()
    for n in range(30):
        step(net)
        ema.update(net)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * net[0].weight.detach().double()
    torch.testing.assert_close(ema.state_dict()["average"]["0.weight"], expected.float())


def test_buffers_are_taken_over() -> None:
    net = model()
    ema = Ema(net)
    step(net)
    ema.update(net)
    assert torch.equal(ema.state_dict()["average"]["1.running_mean"], net[1].running_mean)
    assert ema.state_dict()["average"]["1.num_batches_tracked"] == 1


def test_saved_and_resumed_it_goes_on_bit_for_bit() -> None:
    net = model()
    ema = Ema(net, decay=0.9)
    for _ in range(5):
        step(net)
        ema.update(net)
    resumed = Ema(model(), decay=0.9)
    resumed.load_state_dict(copy.deepcopy(ema.state_dict()))
    for _ in range(5):
        step(net)
        ema.update(net)
        resumed.update(net)
    for key, value in ema.state_dict()["average"].items():
        assert torch.equal(value, resumed.state_dict()["average"][key])


def test_applied_inside_and_undone_outside_even_after_an_error() -> None:
    net = model()
    ema = Ema(net)
    average = net[0].weight.detach().clone()
    step(net)
    own = net[0].weight.detach().clone()
    with pytest.raises(ZeroDivisionError), ema.applied(net):  # noqa: PT012
        assert torch.equal(net[0].weight, average)
        raise ZeroDivisionError
    assert torch.equal(net[0].weight, own)


def test_the_average_of_another_model_is_refused() -> None:
    state = Ema(nn.Sequential(nn.Linear(3, 5))).state_dict()
    with pytest.raises(InputError, match=r"0\.weight: saved \(5, 3\), model \(4, 3\)"):
        Ema(model()).load_state_dict(state)


def test_a_decay_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"not 1\.0"):
        Ema(model(), decay=1.0)
