"""Detection on video with an exported model: onnxruntime and numpy, no torch.

```
from stpn_vod.runner import detect_video, open_exported

model = open_exported("exported")
for result in detect_video(model, "street.mp4"):
    print(result.frame.index, result.found.boxes, result.found.scores)
```
"""

from __future__ import annotations

from stpn_vod.runner.manifest import Manifest as Manifest
from stpn_vod.runner.manifest import is_exported as is_exported
from stpn_vod.runner.manifest import read_manifest as read_manifest
from stpn_vod.runner.model import ExportedModel as ExportedModel
from stpn_vod.runner.model import open_exported as open_exported
from stpn_vod.runner.predict import detect_video as detect_video
from stpn_vod.runner.predict import predict as predict
from stpn_vod.runner.stream import detect_frames as detect_frames
