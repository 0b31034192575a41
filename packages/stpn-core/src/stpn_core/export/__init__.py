"""A model as graphs for other runtimes: what writing, checking and running them has in common.

`manifest`, `model` and `stream` are for running and import no torch; the others write and check.
"""

from __future__ import annotations
