"""Putting weights into a module: what fits, what does not, and what the error says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.weights import load_state


def model(classes: int = 3) -> nn.Sequential:
    """24 keys with a batch norm's buffers; the head is `5.*`."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(4, 4) for _ in range(4)]
    return nn.Sequential(*layers, nn.BatchNorm1d(4), nn.Linear(4, classes))


def other(module: nn.Module) -> dict[str, Tensor]:
    return {key: torch.full_like(tensor, 2) for key, tensor in module.state_dict().items()}


def frozen(module: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())


def test_all_weights_go_in() -> None:
    module = model()
    state = other(module)
    report = load_state(module, state, what="the model")
    assert report.matched == len(state)
    assert report.missing == report.unexpected == report.mismatched == ()
    assert unchanged(module, state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_do_not_matter_on_either_side(prefix: str) -> None:
    module = model()
    state = other(module)
    load_state(module, {prefix + key: tensor for key, tensor in state.items()}, what="m")
    assert unchanged(module, state)
    wrapped = nn.ModuleDict({"module": model()})
    load_state(wrapped, state, what="m")
    assert unchanged(wrapped["module"], state)


def test_float16_weights_go_into_float32() -> None:
    module = model()
    load_state(
        module,
        {k: v.half() if v.is_floating_point() else v for k, v in other(module).items()},
        what="m",
    )
    assert module[0].weight[0, 0].item() == 2.0
    assert module[0].weight.dtype == torch.float32


def test_other_class_count_names_keys_and_both_shapes() -> None:
    """Although 91 % of the keys fit: a head that stays random must not go unnoticed."""
    module = model(classes=3)
    before = frozen(module)
    with pytest.raises(InputError) as caught:
        load_state(module, other(model(classes=7)), what="the model, from x.pth")
    text = str(caught.value)
    assert text.startswith("the model, from x.pth: the weights do not fit: 13 of 15 keys match")
    assert "5.weight: file (7, 4), model (3, 4)" in text
    assert "5.bias: file (7,), model (3,)" in text
    assert unchanged(module, before)


def test_other_class_count_can_be_skipped() -> None:
    module = model(classes=3)
    before = frozen(module)
    report = load_state(module, other(model(classes=7)), what="m", mismatched="skip")
    assert [key for key, _, _ in report.mismatched] == ["5.weight", "5.bias"]
    assert "2 left out, other shape (5.weight, 5.bias)" in str(report)
    assert torch.equal(module[5].weight, before["5.weight"])
    assert module[0].weight[0, 0].item() == 2.0


def test_zero_overlap_names_both_sides() -> None:
    module = model()
    before = frozen(module)
    with pytest.raises(InputError) as caught:
        load_state(module, {"net.x.weight": torch.zeros(2, 2)}, what="m")
    text = str(caught.value)
    assert "0 of 15 keys match" in text
    assert "0.weight: file has none, model (4, 4)" in text
    assert "net.x.weight (2, 2)" in text
    assert text.count("model (") == 5
    assert unchanged(module, before)


def test_zero_overlap_is_refused_even_if_nothing_is_required() -> None:
    with pytest.raises(InputError):
        load_state(model(), {"x": torch.zeros(1)}, what="m", min_matched=0.0)


@pytest.mark.parametrize(("missing", "accepted"), [(0, True), (1, True), (2, False)])
def test_the_share_that_must_match(missing: int, accepted: bool) -> None:
    module = nn.ParameterList([nn.Parameter(torch.zeros(2)) for _ in range(20)])
    state = {str(i): torch.ones(2) for i in range(missing, 20)}
    if accepted:
        assert load_state(module, state, what="m").missing == tuple(map(str, range(missing)))
    else:
        with pytest.raises(InputError, match=r"18 of 20 keys match \(at least 95%"):
            load_state(module, state, what="m")


def test_optional_keys_may_be_missing() -> None:
    module = model()
    state = {key: tensor for key, tensor in other(module).items() if not key.startswith("4.")}
    with pytest.raises(InputError):
        load_state(module, state, what="m")
    report = load_state(module, state, what="m", optional=("4.",))
    assert len(report.missing) == 5
    assert module[0].weight[0, 0].item() == 2.0


def test_integers_are_no_floats() -> None:
    module = model()
    state = other(module)
    state["0.weight"] = torch.ones(4, 4, dtype=torch.int64)
    with pytest.raises(InputError, match=r"0\.weight: file \(4, 4\) int64, model \(4, 4\)"):
        load_state(module, state, what="m")
