"""`stpn vod explain`: looks inside a detector, on one HTML page.

EigenCAM on the feature pyramid, t-SNE of annotated objects by speed, and the attention of prompts
and on prompts: the pictures of the paper (Figures 6 and 8, supplement sections 3 and 4), twin and
STPN side by side.
"""

from __future__ import annotations
