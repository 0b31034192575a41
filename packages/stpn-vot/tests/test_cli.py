from __future__ import annotations

import subprocess
import sys

import pytest

from stpn_core.cli import main as stpn
from stpn_core.errors import InputError
from stpn_core.settings import from_json, to_json
from stpn_vot.cli import main
from stpn_vot.config import Recipe, twin
from stpn_vot.recipes import RECIPES, get_recipe


def test_help_names_the_task(capsys):
    assert main(["--help"]) == 0
    assert "stpn vot" in capsys.readouterr().out


def test_an_unknown_verb_is_named():
    with pytest.raises(InputError, match="'fly'"):
        main(["fly"])


def test_help_of_training_needs_no_torch():
    code = (
        "import sys\n"
        "from stpn_core.cli import main\n"
        "for argv in (['train', '-h'], ['train', 'own', '--help'], ['recipes']):\n"
        "    try:\n"
        "        code = main(['vot', *argv])\n"
        "    except SystemExit as end:\n"
        "        code = end.code\n"
        "    assert not code, (argv, code)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'av', 'matplotlib', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for flag in ("--optim.lr", "--data.lasot", "--objective.freeze", "--twin", "--protocol"):
        assert flag in done.stdout
    assert all(name in done.stdout for name in RECIPES)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["train"], "say which recipe"),
        (["train", "got10k_cvt21", "--out", "x"], "did you mean got10k_cvt21_1k?"),
        (["train", "own", "--out", "x"], "--data.root FOLDER"),
        (["train", "own", "--out", "x", "--data.root", "nowhere"], "nowhere: no such file"),
        (["train", "got10k_cvt21_1k_scores", "--out", "x"], "of the first"),
        (["train", "finetune_predictor", "--out", "x", "--twin"], "nothing is left to train"),
        (["recipes", "--twin"], "name a recipe"),
    ],
)
def test_bad_input_exits_2_and_says_what_to_do(argv, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stpn(["vot", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err


def test_recipes_are_listed_and_shown_as_files_that_train_takes(capsys):
    assert main(["recipes"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(RECIPES)
    assert main(["recipes", "tiny", "--twin"]) == 0
    shown = capsys.readouterr().out
    assert shown == to_json(twin(get_recipe("tiny")))
    assert from_json(Recipe, shown) == twin(get_recipe("tiny"))
