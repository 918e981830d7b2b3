"""What somebody asks to be stored, and the key by which they may ask again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from domain.draft import Draft, Wait
from domain.errors import InvalidInput
from domain.memory import NESTING_MAX, checked_text, is_nested_deeper, nested_too_deeply
from domain.namespace import Namespace

IDEMPOTENCY_KEY_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, by whom, under which idempotency key, and as part of which trace."""

    drafts: Sequence[Draft]
    actor: str
    key: str | None
    wait: Wait
    trace: str | None
    within: Namespace | None

    @property
    def fingerprint(self) -> str:
        """Return a hash that is equal for equal requests."""
        return hashlib.sha256(
            repr(list(self.drafts)).encode("utf-8", "backslashreplace")
        ).hexdigest()


def check_idempotency_key(key: str | None) -> str | None:
    """Return a key of 1 to 255 characters."""
    if (
        key is not None
        and not 1 <= len(checked_text(key, "Idempotency-Key")) <= IDEMPOTENCY_KEY_LENGTH_MAX
    ):
        raise InvalidInput(
            "Idempotency-Key", f"must have 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters"
        )
    return key


def check_nesting(drafts: Sequence[Draft]) -> None:
    """Refuse what is nested so deeply that not even a fingerprint can be taken of it."""
    for index, draft in enumerate(drafts):
        at = f"memories[{index}]"
        if draft.payload and is_nested_deeper(draft.payload, NESTING_MAX):
            raise nested_too_deeply(f"{at}.payload")
        for place, link in enumerate(draft.links):
            if is_nested_deeper(link.properties, NESTING_MAX):
                raise nested_too_deeply(f"{at}.links[{place}].properties")
