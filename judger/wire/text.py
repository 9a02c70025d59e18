"""Text that may be sent: a lone surrogate, half of a character that was cut in two, has no UTF-8."""

from __future__ import annotations

__all__ = ["whole_text"]


def whole_text(text: str) -> str:
    """The text with U+FFFD for each half character; two halves that belong together become their character.

    For what is ours to say (a model's reason, an error's message). What a caller sends is refused instead.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
