"""A tracker as graphs for other runtimes: templates, search region and prompt predictor, checked.

```
from stpn_vot import load_trained
from stpn_vot.export import export

export(load_trained("runs/mine"), "exported")
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vot.export.write import ExportConfig as ExportConfig
    from stpn_vot.export.write import export as export


def __getattr__(name: str) -> Any:  # the command line's help comes through here and needs no torch
    if name not in ("ExportConfig", "export"):
        raise AttributeError(f"module 'stpn_vot.export' has no attribute {name!r}")
    from stpn_vot.export import write

    return getattr(write, name)
