"""A detector as graphs for other runtimes: encoder, prompt predictor and head, checked.

```
from stpn_vod import load_trained
from stpn_vod.export import ExportConfig, export

export(load_trained("runs/mine"), "exported", ExportConfig(sizes=((608, 1024),)))
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vod.export.write import ExportConfig as ExportConfig
    from stpn_vod.export.write import export as export


def __getattr__(name: str) -> Any:  # the command line's help comes through here and needs no torch
    if name not in ("ExportConfig", "export"):
        raise AttributeError(f"module 'stpn_vod.export' has no attribute {name!r}")
    from stpn_vod.export import write

    return getattr(write, name)
