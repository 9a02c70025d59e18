"""Real reports with a checklist each, and `python -m judger.demo` to see them judged."""

from pathlib import Path

CASES = Path(__file__).parent / "cases.jsonl"

__all__ = ["CASES"]
