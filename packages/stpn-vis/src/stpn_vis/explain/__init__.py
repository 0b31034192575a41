"""`stpn vis explain`: looks inside a segmenter, on one HTML page.

Masks with and without prompts, which query became which object over time, where prompts look in the
support frames, and how much the frame looks at its prompts.
"""

from __future__ import annotations
