"""What a tracker was trained on: recorded, read again, never mixed."""

from __future__ import annotations

import pytest

from stpn_core.errors import InputError
from stpn_core.weights import save_weights
from stpn_vot.conversion import tracker_metadata
from stpn_vot.model_file import load_trained
from stpn_vot.protocol import common_protocol, protocol_of, stated
from stpn_vot.weights import save_tracker

from .networks import TINY, tracker


@pytest.mark.parametrize("protocol", ["got10k", "full"])
def test_weights_remember_it(tmp_path, protocol):
    path = tmp_path / "w.safetensors"
    save_tracker(path, tracker(TINY).state_dict(), TINY, protocol)
    assert load_trained(path).protocol == protocol


def test_weights_that_say_nothing_are_unknown_and_a_strange_word_is_refused(tmp_path):
    path, state = tmp_path / "w.safetensors", tracker(TINY).state_dict()
    header = tracker_metadata(TINY)
    del header["protocol"]
    save_weights(path, state, header)
    assert load_trained(path).protocol == "unknown"
    save_weights(path, state, header | {"protocol": "most of it"})
    with pytest.raises(InputError, match="most of it"):
        load_trained(path)


def test_a_user_may_say_what_a_file_does_not_and_nothing_else():
    assert protocol_of({}, "x") == "unknown"
    assert stated("unknown", "full", "x") == "full"
    assert stated("got10k", None, "x") == "got10k"
    assert stated("got10k", "got10k", "x") == "got10k"
    with pytest.raises(InputError, match="records the protocol got10k"):
        stated("got10k", "full", "x")


def test_one_table_has_one_protocol():
    assert common_protocol({"a": "got10k", "b": "got10k"}) == "got10k"
    with pytest.raises(InputError, match="full: b; got10k: a"):
        common_protocol({"a": "got10k", "b": "full"})
    with pytest.raises(InputError, match="--protocol"):
        common_protocol({"a": "got10k", "b": "unknown"})
