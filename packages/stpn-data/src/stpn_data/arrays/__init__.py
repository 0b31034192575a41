"""Frames as arrays: reading, resizing and finding cuts for programs that run without torch.

Bit for bit what the modules of the same names one floor up do with tensors.
"""

from __future__ import annotations
