from __future__ import annotations

import pytest

from stpn_core.errors import InputError
from stpn_vot.cli import main


def test_help_names_the_task(capsys):
    assert main(["--help"]) == 0
    assert "stpn vot" in capsys.readouterr().out


def test_an_unknown_verb_is_named():
    with pytest.raises(InputError, match="'fly'"):
        main(["fly"])
