"""What prompts are made of, and what is made of them: attention read while a model runs.

Nothing is hooked into a module and nothing is kept on one; the forward pass is the usual one.
"""

from __future__ import annotations

from stpn_core.explain.attention_weights import attention_weights
from stpn_core.explain.prompt_mass import PromptMass, prompt_mass
from stpn_core.explain.support_weights import support_weights, token_stride

__all__ = ["PromptMass", "attention_weights", "prompt_mass", "support_weights", "token_stride"]
