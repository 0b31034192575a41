"""A detector as graphs for other runtimes: encoder, prompt predictor and head, checked.

```
from stpn_vod import load_trained
from stpn_vod.export import ExportConfig, export

export(load_trained("runs/mine"), "exported", ExportConfig(sizes=((608, 1024),)))
```
"""

from __future__ import annotations

from stpn_vod.export.write import ExportConfig as ExportConfig
from stpn_vod.export.write import export as export
