"""Auxiliary task of the prompts, which all tasks share."""

from __future__ import annotations

from stpn_core.presence import PromptPresence

__all__ = ["PromptPresence"]
