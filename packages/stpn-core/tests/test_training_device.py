from __future__ import annotations

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.training import choose_device, requested_device


def test_auto_takes_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda")
    assert requested_device("auto") is None  # each rank takes its own


def test_a_named_device_is_taken_or_refused():
    assert choose_device("cpu") == torch.device("cpu")
    assert requested_device("cpu") == "cpu"
    with pytest.raises(InputError, match="device 'tpu'"):
        requested_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device 'cuda'"):
            choose_device("cuda")
