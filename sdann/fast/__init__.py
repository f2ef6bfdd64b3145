"""Exact, fast models in torch: the integer network, the spiking network, and the pipeline's schedule.

They equal the NumPy models bit for bit and share no arithmetic with them. Maps lie in memory as [N, H, W, C] here; what
the models return are views as [N, C, H, W].
"""

from .integer import IntegerNetwork, IntegerResult
from .pipeline import PipelineSchedule, pipeline_schedule
from .products import Backend
from .spiking import SpikingNetwork, SpikingResult

__all__ = [
    "Backend", "IntegerNetwork", "IntegerResult", "PipelineSchedule", "SpikingNetwork", "SpikingResult",
    "pipeline_schedule",
]  # fmt: skip
