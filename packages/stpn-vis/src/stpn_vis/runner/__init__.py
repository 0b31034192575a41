"""Instances on video with an exported model: onnxruntime, numpy and SciPy, no torch.

```
from stpn_vis.runner import open_exported, segment_video

model = open_exported("exported")
for result in segment_video(model, "street.mp4"):
    print(result.frame.index, result.found.ids, result.found.masks.shape)
```
"""

from __future__ import annotations

from stpn_vis.runner.manifest import Manifest as Manifest
from stpn_vis.runner.manifest import is_exported as is_exported
from stpn_vis.runner.manifest import read_manifest as read_manifest
from stpn_vis.runner.model import ExportedModel as ExportedModel
from stpn_vis.runner.model import open_exported as open_exported
from stpn_vis.runner.predict import predict as predict
from stpn_vis.runner.predict import segment_video as segment_video
from stpn_vis.runner.stream import SegmentationStream as SegmentationStream
