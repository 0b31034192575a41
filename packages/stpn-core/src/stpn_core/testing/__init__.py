"""Conformance suites: what every encoder, predictor, STPN model and task must hold.

Inherit from one of the classes in a test module and say how to build the thing:

    class TestMyEncoder(EncoderConformance):
        def build(self, **options):
            return MyEncoder(**options)

Everything is checked on the CPU with small random inputs. Set class attributes for other sizes.
Those of trainers need pytest and are imported from `stpn_core.testing.trainer` (in one process) and
`stpn_core.testing.trainer_ranks`.
"""

from __future__ import annotations

from stpn_core.testing.encoder import EncoderConformance
from stpn_core.testing.predictor import PredictorConformance
from stpn_core.testing.stpn import StpnConformance
from stpn_core.testing.task import TaskConformance

__all__ = ["EncoderConformance", "PredictorConformance", "StpnConformance", "TaskConformance"]
