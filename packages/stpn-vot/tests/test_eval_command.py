"""`stpn vot eval` on a tree of files, against the toolkit's numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stpn_core.cli import main


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    files = json.loads((shared / "golden" / "vot" / "got10k_tree.json").read_text())["files"]
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def command(tree: Path, tracker: str, *more: str) -> list[str]:
    results = tree / "results" / "GOT-10k" / tracker
    return ["vot", "eval", str(results), "--data", str(tree / "data"), *more]


@pytest.mark.parametrize("tracker", ["det1", "sto3"])
def test_the_numbers_are_the_toolkit_s(tree, golden, tmp_path, tracker, capsys):
    out = tmp_path / "numbers.json"
    assert main(command(tree, tracker, "--sequences", "--out", str(out))) == 0
    said = capsys.readouterr().out
    assert "SR0.75" in said
    assert "AUC" not in said
    assert "protocol unknown" in said
    expected = golden("vot/got10k_eval")[1]["expected"][tracker]
    numbers = json.loads(out.read_text())["trackers"][tracker]
    whole = numbers["got10k"]
    assert whole["ao"] == pytest.approx(expected["overall"]["ao"], abs=1e-12)
    assert whole["sr50"] == pytest.approx(expected["overall"]["sr"], abs=1e-12)
    np.testing.assert_allclose(whole["curve"], expected["overall"]["succ_curve"], 0, 1e-12)
    for name, one in expected["seq_wise"].items():
        assert numbers["sequences"][name]["got10k"]["ao"] == (
            None if one["ao"] is None else pytest.approx(one["ao"], abs=1e-12)
        )


SEQUENCE = "GOT-10k_Val_000002"
FAULTS = {
    "no list": ("data/val/list.txt", None, "list.txt"),
    "empty list": ("data/val/list.txt", "\n", "names no sequence"),
    "a path in the list": ("data/val/list.txt", "../other\n", "is no name"),
    "no cover": (f"data/val/{SEQUENCE}/cover.label", None, "though other sequences"),
    "short cover": (f"data/val/{SEQUENCE}/cover.label", "8\n", "1 lines for 17 boxes"),
    "no size": (f"data/val/{SEQUENCE}/meta_info.ini", "[METAINFO]\n", "resolution"),
    "no results": (f"results/GOT-10k/det1/{SEQUENCE}/{SEQUENCE}_001.txt", None, "_001.txt"),
    "short": (f"results/GOT-10k/det1/{SEQUENCE}/{SEQUENCE}_001.txt", "1,2,3,4\n", "1 boxes for 17"),
    "words": (f"results/GOT-10k/det1/{SEQUENCE}/{SEQUENCE}_001.txt", "1,2,x,4\n", "line 1"),
    "columns": (f"results/GOT-10k/det1/{SEQUENCE}/{SEQUENCE}_001.txt", "1,2,3\n", "3 numbers"),
    "nan": (
        f"results/GOT-10k/det1/{SEQUENCE}/{SEQUENCE}_001.txt", "1,2,nan,4\n" * 17, "not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_used_is_named(tree, fault, capsys):
    assert main(command(tree, "det1")) == 0
    name, text, message = FAULTS[fault]
    if text is None:
        (tree / name).unlink()
    else:
        (tree / name).write_text(text)
    assert main(command(tree, "det1")) == 2
    assert message in capsys.readouterr().err


def test_an_output_folder_must_be_there(tree, capsys):
    assert main(command(tree, "det1", "--out", str(tree / "absent" / "numbers.json"))) == 2
    assert "absent" in capsys.readouterr().err
