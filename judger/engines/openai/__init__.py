"""Any OpenAI-compatible endpoint: `engine` asks, `request` says what, `reply` reads what came."""

from judger.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
