"""Which letters are Chinese or Japanese: the one range, for all that reads them by the character."""

from __future__ import annotations

__all__ = ["CJK"]

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana, the unified ideographs of the basic plane and those of compatibility, as the inside of a character class."""
