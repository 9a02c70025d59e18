"""The torch engine: any causal model of transformers, one pass per report."""

from judger.engines.torch.engine import TorchEngine
from judger.engines.torch.load import load_model

__all__ = ["TorchEngine", "load_model"]
