"""Turn what a caller shows at a door into who they are; every door asks here first."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from application.access.keyring import Keyring, KeyUsage
from domain.access import Permission, Principal
from domain.errors import AccessDenied, RateLimited
from domain.ports import Allowance, RateLimiter

OWNER = Principal("local", Permission.ADMIN)
BOOTSTRAP = Principal("bootstrap", Permission.ADMIN)
TOKEN_LENGTH_MAX = 512
BLOCKED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a call comes from.

    `address` is what failures are counted by (None: they are not). `is_local`: from this machine,
    `is_owner`: through the socket that only the owner of the data directory may open.
    """

    address: str | None
    is_local: bool = False
    is_owner: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Who was let in, and what is left of their rate limit where there is one."""

    principal: Principal
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per window and key, by the permission of the key; 0 is without limit."""

    window_seconds: float
    limits: Mapping[Permission, int]


class Failures:
    """Counts keys that did not work by address; who has shown too many is told to wait.

    Keys that work are let in from everywhere: behind a proxy all callers have one address.
    """

    def __init__(
        self, limiter: RateLimiter, elapsed: Callable[[], float], limit: int, window_seconds: float
    ) -> None:
        self._limiter = limiter
        self._elapsed = elapsed
        self._limit = limit
        self._window_seconds = window_seconds
        self._blocked: OrderedDict[str, float] = OrderedDict()

    async def note(self, address: str | None) -> None:
        """Count a failure; raise `RateLimited` when it is one too many."""
        if address is None or not self._limit:
            return
        left = self._blocked.get(address, 0.0) - self._elapsed()
        if left > 0:
            raise self._refusal(left)
        allowance = await self._limiter.take(
            f"denied:{address}", limit=self._limit, window_seconds=self._window_seconds
        )
        if allowance.granted:
            return
        self._blocked[address] = self._elapsed() + allowance.reset_seconds
        self._blocked.move_to_end(address)
        if len(self._blocked) > BLOCKED_MAX:
            self._blocked.popitem(last=False)
        raise self._refusal(allowance.reset_seconds)

    def _refusal(self, retry_seconds: float) -> RateLimited:
        return RateLimited(
            limit=self._limit, window_seconds=self._window_seconds, retry_seconds=retry_seconds
        )


@dataclass(frozen=True, kw_only=True)
class Access:
    """Knows callers by the bootstrap key, by a key of the store, or by where they come from.

    Keys are demanded as soon as there is a bootstrap key or ever was a key in the store; until
    then only callers from this machine are let in. The owner's socket needs none.
    """

    keyring: Keyring
    usage: KeyUsage
    limiter: RateLimiter
    failures: Failures
    rates: Rates
    bootstrap_key: str | None
    now: Callable[[], datetime]

    async def admit(self, token: str | None, peer: Peer) -> Admission:
        """Let one request in. Raises `AccessDenied`, `RateLimited`, `StoreUnavailable`."""
        principal = await self.identify(token, peer)
        limit = self.rates.limits[principal.permission]
        if not limit or principal is OWNER:
            return Admission(principal)
        allowance = await self.limiter.take(
            f"key:{principal.key_id or principal.name}",
            limit=limit,
            window_seconds=self.rates.window_seconds,
        )
        if not allowance.granted:
            raise RateLimited(
                limit=limit,
                window_seconds=self.rates.window_seconds,
                retry_seconds=allowance.reset_seconds,
            )
        return Admission(principal, allowance)

    async def identify(self, token: str | None, peer: Peer) -> Principal:
        """Return who shows a token, without counting the request against a limit."""
        if peer.is_owner:
            return OWNER
        if not await self.demands_keys():
            if peer.is_local:
                return OWNER
            raise AccessDenied
        if not token:
            # No guess, so not counted: browsers ask like this for any page (preflights).
            raise AccessDenied
        principal = await self._known(token)
        if principal is None:
            await self.failures.note(peer.address)
            raise AccessDenied
        return principal

    async def confirm(self, principal: Principal) -> None:
        """Raise `AccessDenied` when a key has ended since: for what goes on for a long time."""
        if principal.key_id is None:
            return
        stored = await self.keyring.find(principal.key_id)
        if stored is None or not stored.key.works_at(self.now()):
            raise AccessDenied

    async def demands_keys(self) -> bool:
        """Tell whether callers without the owner's socket need a key."""
        return self.bootstrap_key is not None or await self.keyring.exist()

    async def _known(self, token: str) -> Principal | None:
        if len(token) > TOKEN_LENGTH_MAX:
            return None
        if self.bootstrap_key is not None and hmac.compare_digest(
            token.encode("utf-8", "surrogatepass"),
            self.bootstrap_key.encode("utf-8", "surrogatepass"),
        ):
            return BOOTSTRAP
        stored = await self.keyring.checked(token)
        at = self.now()
        if stored is None or not stored.key.works_at(at):
            return None
        self.usage.note(stored.key, at)
        return stored.key.principal()
