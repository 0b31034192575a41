"""`stpn vis export-weights`."""

from __future__ import annotations

import json

import pytest

from stpn_core.errors import InputError
from stpn_vis.cli import main
from stpn_vis.weights import read_segmenter, save_segmenter

from .tiny import CONFIG, segmenter


def test_weights_for_other_code(tmp_path, capsys):
    weights, folder, file = (tmp_path / n for n in ("w.safetensors", "hf", "model.pth"))
    save_segmenter(weights, segmenter().state_dict(), CONFIG, ("a", "b", "c", "d"))
    assert main(["export-weights", str(weights), str(folder), "--to", "transformers"]) == 0
    said = capsys.readouterr().out
    assert "left out: stpn.predictor." in said
    assert "tensors for transformers" in said
    labels = json.loads((folder / "config.json").read_text())["id2label"]
    assert labels == {"0": "a", "1": "b", "2": "c", "3": "d"}
    # what was exported can be exported again
    again = [str(folder / "model.safetensors"), str(file), "--to", "detectron2"]
    assert main(["export-weights", *again]) == 0
    assert read_segmenter(file).config.num_queries == CONFIG.num_queries
    with pytest.raises(InputError, match="no such file"):
        main(["export-weights", str(tmp_path / "none"), str(file), "--to", "detectron2"])
