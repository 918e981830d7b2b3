"""Hits as a text for a prompt, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from domain.memory import Memory


def context_block(ranked: Sequence[Memory], budget_tokens: int) -> str:
    """Join the best memories into a text of at most `budget_tokens` (4 bytes count as one)."""
    lines, left = [], budget_tokens
    for memory in ranked:
        date = f"[{memory.occurred_at:%Y-%m-%d %H:%M}] " if memory.occurred_at else ""
        line = f"- {date}{memory.content}"
        cost = token_estimate(line + "\n")
        if cost <= left:
            lines.append(line)
            left -= cost
    return "\n".join(lines)


def token_estimate(text: str) -> int:
    """Estimate tokens from bytes of UTF-8, on the safe side for English."""
    return -(-len(text.encode()) // 4)
