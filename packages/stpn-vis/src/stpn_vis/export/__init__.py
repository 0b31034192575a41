"""A segmenter as graphs for other runtimes: encoder, prompt predictor and head, checked.

```
from stpn_vis.export import ExportConfig, export
from stpn_vis.model_file import load_trained

export(load_trained("runs/mine"), "exported", ExportConfig(sizes=((480, 864),)))
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vis.export.write import ExportConfig as ExportConfig
    from stpn_vis.export.write import export as export


def __getattr__(name: str) -> Any:  # the command line's help comes through here and needs no torch
    if name not in ("ExportConfig", "export"):
        raise AttributeError(f"module 'stpn_vis.export' has no attribute {name!r}")
    from stpn_vis.export import write

    return getattr(write, name)
