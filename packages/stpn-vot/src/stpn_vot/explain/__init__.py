"""`stpn vot explain`: looks inside a tracker on one target, on one HTML page.

Boxes with prompts and without, score and lost signal over time, which templates were taken when,
where prompts look in the support frames, and how much the search region looks at its prompts.
"""

from __future__ import annotations
