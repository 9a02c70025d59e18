"""The engine for endpoints that answer typed questions: `engine` asks, `formats` writes and reads both protocols."""

from judger.engines.decisions.engine import DecisionsEngine

__all__ = ["DecisionsEngine"]
