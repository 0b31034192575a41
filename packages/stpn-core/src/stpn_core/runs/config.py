"""The exact configuration beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stpn_core.errors import InputError
from stpn_core.runs.durable import replace_file
from stpn_core.runs.run_dir import RunDir


def save_config(run: RunDir, config: Mapping[str, Any]) -> None:
    """Write `config` (JSON values) as config.json, in place of an older one, in one step."""
    run.require_lock()
    text = json.dumps(config, indent=2, allow_nan=False) + "\n"
    replace_file(run.path / "config.json", text.encode())


def load_config(run: RunDir) -> dict[str, Any] | None:
    """What `save_config` wrote, or None. Raises InputError naming the file if it is not that."""
    path = run.path / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a configuration: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: holds a {type(config).__name__}, not an object with settings")
    return config
