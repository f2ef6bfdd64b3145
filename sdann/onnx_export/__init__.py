"""Integer networks as ONNX models of integer operators, and onnxruntime as an outside judge of them."""

from .compare import ACCUMULATORS, STAGE, compare_with_onnxruntime
from .model import OPSET, ExportedLayer, ExportedNetwork, export_network
from .self_test import inexact_operator, require_exact
from .session import OnnxResult, run

__all__ = [
    "ACCUMULATORS", "OPSET", "STAGE", "ExportedLayer", "ExportedNetwork", "OnnxResult", "compare_with_onnxruntime",
    "export_network", "inexact_operator", "require_exact", "run",
]  # fmt: skip
