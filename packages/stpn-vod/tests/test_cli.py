from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import from_json, to_json
from stpn_vod.cli import VERBS
from stpn_vod.config import Recipe, twin
from stpn_vod.recipes import RECIPES, get_recipe

from .conftest import tiny_recipe


def test_help_of_every_verb_needs_no_torch():
    """One process for all: none of it may load what takes seconds to load."""
    asked = [[], ["-h"], *([verb, "--help"] for verb in VERBS), ["train", "own", "--help"]]
    code = (
        "import json, sys\n"
        "from stpn_core.cli import main\n"
        "for argv in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        code = main(['vod', *argv])\n"
        "    except SystemExit as end:\n"
        "        code = end.code\n"
        "    assert not code, (argv, code)\n"
        "main(['vod', 'recipes'])\n"
        "heavy = {'torch', 'torchvision', 'timm', 'av', 'matplotlib', 'pycocotools'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(asked)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for verb in VERBS:
        assert f"usage: stpn vod {verb}" in done.stdout
    for flag in ("--optim.lr", "--data.root", "--model.predictor", "--twin", "--resume"):
        assert flag in done.stdout
    assert all(name in done.stdout for name in RECIPES)


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [
        (["train", "own", "--out", "x", "--optim.learning", "1"], "--optim"),
        (["train", "own", "--out", "x", "--optim.batchsize", "1"], "--optim.batch-size"),
        (["eval", "w", "--dato", "d"], "--data"),
        (["predict", "v.mp4", "--weights", "w", "--out", "o", "--polcy", "online"], "--policy"),
        (["demo", "--sed", "1"], "--seed"),
        (["app", "w", "--prt", "1"], "--port"),
        (["recipes", "own", "--twn"], "--twin"),
    ],
)
def test_a_wrong_flag_exits_2_and_names_the_nearest(argv, nearest, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["vod", *argv])
    assert caught.value.code == 2
    assert nearest in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["trian"], "did you mean train?"),
        (["zzz"], "there are train, eval, predict, "),
        (["train"], "say which recipe"),
        (["train", "--out", "x"], "say which recipe"),
        (["train", "vid_swint", "--out", "x"], "did you mean vid_swin_t?"),
        (["train", "missing.json", "--out", "x"], "missing.json: cannot be read"),
        (["train", "own", "--out", "x"], "--data.root FOLDER"),
        (["train", "own", "--out", "x", "--data.root", "nowhere"], "nowhere: no such file"),
        (["train", "own", "--out", "x", "--run.device", "tpu"], "device 'tpu'"),
        (["recipes", "vid_swint"], "did you mean vid_swin_t?"),
        (["recipes", "--twin"], "name a recipe"),
        (["eval", "missing.safetensors", "--data", "."], "missing.safetensors: no such file"),
        (["predict", "v.mp4", "--weights", ".", "--out", "o"], "without a complete checkpoint"),
    ],
)
def test_bad_input_exits_2_and_says_what_to_do(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["vod", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err


def test_a_value_of_the_wrong_kind_exits_2(capsys):
    for flags in (["--optim.steps", "many"], ["--run.precision", "fp8"], []):
        with pytest.raises(SystemExit) as caught:
            main(["vod", "train", "own", *flags])
        assert caught.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_numbers_that_cannot_work_are_all_named_before_anything_is_made(tmp_path, capsys):
    flags = ["--run.save-every", "0", "--optim.drop-at", "0.9", "0.5", "--eval.every", "0"]
    assert main(["vod", "train", "own", "--out", str(tmp_path / "run"), *flags]) == 2
    err = capsys.readouterr().err
    assert all(name in err for name in ("run.save_every", "optim.drop_at", "eval.every"))
    assert not (tmp_path / "run").exists()


def test_a_file_with_a_field_nobody_knows_is_refused(tmp_path, capsys):
    values = json.loads(to_json(get_recipe("own")))
    values["optim"]["momentum"] = 0.9
    values["model"]["num_promts"] = 3
    (tmp_path / "mine.json").write_text(json.dumps(values))
    assert main(["vod", "train", str(tmp_path / "mine.json"), "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert "optim.momentum" in err
    assert "model.num_promts" in err


def test_recipes_are_listed_and_shown_as_files_that_train_takes(capsys):
    assert main(["vod", "recipes"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(RECIPES)
    assert main(["vod", "recipes", "vid_swin_t"]) == 0
    assert from_json(Recipe, capsys.readouterr().out) == from_json(
        Recipe, to_json(get_recipe("vid_swin_t"))
    )
    assert main(["vod", "recipes", "own", "--twin"]) == 0
    assert from_json(Recipe, capsys.readouterr().out).model == twin(get_recipe("own")).model


def test_flags_override_a_file_and_the_twin_is_made_of_the_result(shapes, tmp_path):
    (tmp_path / "mine.json").write_text(to_json(tiny_recipe(shapes, steps=4)))
    out = tmp_path / "run"
    flags = ["--optim.steps", "1", "--data.val-split", "", "--model.fc-channels", "24", "--twin"]
    assert main(["vod", "train", str(tmp_path / "mine.json"), "--out", str(out), *flags]) == 0
    assert RunDir(out).steps() == [1]
    config = json.loads((out / "config.json").read_text())
    assert config["model"]["predictor"] is None
    assert config["model"]["fc_channels"] == 24
    again = from_json(
        Recipe, (out / "config.json").read_text()
    )  # what a run saves can be trained again
    assert again.model.arch["depths"] == (1, 1, 1)


def test_a_locked_run_exits_5(shapes, tmp_path, capsys):
    (tmp_path / "mine.json").write_text(to_json(tiny_recipe(shapes)))
    command = ["vod", "train", str(tmp_path / "mine.json"), "--out", str(tmp_path / "run")]
    with RunDir(tmp_path / "run"):
        assert main(command) == 5
    assert "in use by process" in capsys.readouterr().err


def test_notes_of_a_run_reach_the_terminal(shapes, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    recipe = str(tmp_path / "mine.json")
    Path(recipe).write_text(to_json(tiny_recipe(shapes, steps=5)))
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("stpn_core").addHandler(handler)
    try:
        assert main(["vod", "train", recipe, "--out", str(tmp_path / "run")]) == 0
    finally:
        logging.getLogger("stpn_core").removeHandler(handler)
    assert heard[0] == "continuing after step 4 of 5"
    assert heard[-1].startswith("step 5: AP ")
