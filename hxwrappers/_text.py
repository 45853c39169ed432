"""Text of others in messages of ours."""

from __future__ import annotations

__all__ = ["brief"]


def brief(error: object, limit: int = 300) -> str:
    r"""What an error says, on one line of a bearable length.

    Libraries quote what they could not read, which may be a whole file.

    Example:
        >>> brief(ValueError("damaged:\n" + 999 * "x"), 14)
        'damaged: xx...'
    """
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
