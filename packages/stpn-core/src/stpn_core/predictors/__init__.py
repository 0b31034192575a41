"""Prompt predictors: support tokens in, prompts out."""

from __future__ import annotations

from stpn_core.predictors.create import create_predictor
from stpn_core.predictors.predictor import PromptPredictor

__all__ = ["PromptPredictor", "create_predictor"]
