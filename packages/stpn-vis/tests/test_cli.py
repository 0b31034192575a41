from __future__ import annotations

import pytest

from stpn_core.errors import InputError
from stpn_vis.cli import main


def test_help_lists_the_verbs(capsys):
    assert main(["--help"]) == 0
    assert "stpn vis" in capsys.readouterr().out


def test_an_unknown_verb_is_named():
    with pytest.raises(InputError, match="'fly'"):
        main(["fly"])
