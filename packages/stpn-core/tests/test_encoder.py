"""Which builder a name goes to, and how light the package is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stpn_core
from stpn_core import create_encoder
from stpn_core.errors import InputError
from stpn_core.vit import VitEncoder


def test_other_names_are_timms_transformers() -> None:
    encoder = create_encoder("vit_tiny_patch16_224", pyramid_dim=None)
    assert isinstance(encoder, VitEncoder)


def test_prompt_merge_is_for_swin() -> None:
    with pytest.raises(InputError, match="Swin"):
        create_encoder("vit_tiny_patch16_224", prompt_merge="released")


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, stpn_core; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys, stpn_core; stpn_core.STPN; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1


def test_public_names_exist() -> None:
    for name in stpn_core.__all__:
        assert getattr(stpn_core, name) is not None
    assert set(stpn_core.__all__) <= set(dir(stpn_core))
    with pytest.raises(AttributeError, match="nothing"):
        _ = stpn_core.nothing
