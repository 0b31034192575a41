"""Tracking on video with an exported model: onnxruntime and numpy, no torch.

```
from stpn_vot.runner import open_exported, track_video

model = open_exported("exported")
for result in track_video(model, "street.mp4", [(100, 80, 40, 90)]):
    print(result.frame.index, result.targets[0].box, result.targets[0].lost)
```
"""

from __future__ import annotations

from stpn_vot.runner.manifest import Manifest as Manifest
from stpn_vot.runner.manifest import is_exported as is_exported
from stpn_vot.runner.manifest import read_manifest as read_manifest
from stpn_vot.runner.model import ExportedTracker as ExportedTracker
from stpn_vot.runner.model import open_exported as open_exported
from stpn_vot.runner.predict import predict as predict
from stpn_vot.runner.predict import track_video as track_video
from stpn_vot.runner.stream import TrackState as TrackState
from stpn_vot.runner.stream import start_tracking as start_tracking
from stpn_vot.runner.stream import track as track
