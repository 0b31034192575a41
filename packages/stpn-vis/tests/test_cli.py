from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import from_json, to_json
from stpn_vis.cli import VERBS
from stpn_vis.config import Recipe, twin
from stpn_vis.recipes import RECIPES, get_recipe

from .conftest import tiny_recipe


def test_help_of_every_verb_needs_no_torch():
    """One process for all: none of it may load what takes seconds to load."""
    asked = [[], ["-h"], *([verb, "--help"] for verb in VERBS), ["train", "own", "--help"]]
    code = (
        "import json, sys\n"
        "from stpn_core.cli import main\n"
        "for argv in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        code = main(['vis', *argv])\n"
        "    except SystemExit as end:\n"
        "        code = end.code\n"
        "    assert not code, (argv, code)\n"
        "main(['vis', 'recipes'])\n"
        "heavy = {'torch', 'torchvision', 'timm', 'av', 'matplotlib', 'pycocotools', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(asked)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for verb in VERBS:
        assert f"usage: stpn vis {verb}" in done.stdout
    for flag in ("--optim.lr", "--data.root", "--model.predictor", "--twin", "--class-head"):
        assert flag in done.stdout
    assert all(name in done.stdout for name in RECIPES)


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [
        (["train", "own", "--out", "x", "--optim.batchsize", "1"], "--optim.batch-size"),
        (["eval", "w", "--dato", "d"], "--data"),
        (["demo", "--sed", "1"], "--seed"),
        (["recipes", "own", "--twn"], "--twin"),
    ],
)
def test_a_wrong_flag_exits_2_and_names_the_nearest(argv, nearest, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["vis", *argv])
    assert caught.value.code == 2
    assert nearest in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian"], "did you mean train?"),
        (["fly"], "no verb 'fly'; there are train, eval"),
        (["train"], "say which recipe"),
        (["train", "ytvis19_swin", "--out", "x"], "did you mean ytvis19_swin_t?"),
        (["train", "missing.json", "--out", "x"], "missing.json: cannot be read"),
        (["train", "own", "--out", "x"], "--data.root FOLDER"),
        (["train", "own", "--out", "x", "--data.root", "nowhere"], "nowhere: no such file"),
        (["train", "own", "--out", "x", "--class-head", "coco"], "class_head"),
        (["recipes", "--twin"], "name a recipe"),
        (["eval", "missing.safetensors", "--data", "."], "missing.safetensors: no such file"),
    ],
)
def test_bad_input_exits_2_and_says_what_to_do(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["vis", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err


def test_recipes_are_listed_and_shown_as_files_that_train_takes(capsys):
    assert main(["vis", "recipes"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(RECIPES)
    assert main(["vis", "recipes", "ovis_swin_t"]) == 0
    assert capsys.readouterr().out == to_json(get_recipe("ovis_swin_t"))
    assert main(["vis", "recipes", "own", "--twin"]) == 0
    assert from_json(Recipe, capsys.readouterr().out) == twin(get_recipe("own"))


def test_flags_override_a_file_and_the_twin_is_made_of_the_result(painted, tmp_path):
    (tmp_path / "mine.json").write_text(to_json(tiny_recipe(painted)))
    out = tmp_path / "run"
    flags = ["--optim.steps", "1", "--data.val-split", "", "--model.num-queries", "4", "--twin"]
    assert main(["vis", "train", str(tmp_path / "mine.json"), "--out", str(out), *flags]) == 0
    assert RunDir(out).steps() == [1]
    again = from_json(Recipe, (out / "config.json").read_text())  # a run's own can be trained again
    assert again.model.predictor is None
    assert again.model.num_queries == 4


def test_a_locked_run_exits_5(painted, tmp_path, capsys):
    (tmp_path / "mine.json").write_text(to_json(tiny_recipe(painted)))
    with RunDir(tmp_path / "run"):
        command = ["train", str(tmp_path / "mine.json"), "--out", str(tmp_path / "run")]
        assert main(["vis", *command]) == 5
    assert "in use by process" in capsys.readouterr().err
