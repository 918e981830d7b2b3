"""The REST API as the tools see it: one call, its JSON, or a refusal that names fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

Json = dict[str, Any]

TIMEOUT = httpx.Timeout(120.0, connect=10.0)


class Refused(Exception):
    """A call that was not carried out; the message is what the model is told."""

    def __init__(self, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class Rest:
    """Calls over any httpx client: the socket of a data directory, a server, or this process."""

    def __init__(self, http: httpx.AsyncClient, *, is_bound: bool = False) -> None:
        """`is_bound`: the caller is known to have a subtree, and nothing beyond it."""
        self._http = http
        self.is_bound = is_bound

    async def get(self, path: str, **parameters: object) -> Json:
        """Read; parameters that are None are left out."""
        return await self._call("GET", path, parameters=parameters)

    async def ask(self, path: str, body: Mapping[str, object]) -> Json:
        """Send a POST that may be sent again: it changes nothing, or nothing more."""
        return await self._call("POST", path, body=body)

    async def delete(self, path: str, **parameters: object) -> Json:
        """Remove."""
        return await self._call("DELETE", path, parameters=parameters)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> Json:
        try:
            response = await self._http.request(
                method,
                path,
                content=None if body is None else msgspec.json.encode(body),
                params=_present(parameters or {}),
                headers={} if body is None else {"content-type": "application/json"},
                extensions={"repeatable": True},
            )
        except httpx.TimeoutException as error:
            raise Refused("the memory did not answer in time") from error
        except httpx.TransportError as error:
            raise Refused("the memory cannot be reached") from error
        if response.is_error:
            raise _refusal(response)
        return _object(response) if response.content else {}


def _present(parameters: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in parameters.items()
        if value is not None
    }


def _refusal(response: httpx.Response) -> Refused:
    try:
        problem = _object(response)
    except Refused:
        return Refused(f"the server answered {response.status_code}")
    fields = [str(entry.get("field")) for entry in problem.get("errors", [])]
    return Refused(str(problem.get("detail") or problem.get("title")), fields)


def _object(response: httpx.Response) -> Json:
    try:
        answer = msgspec.json.decode(response.content)
    except msgspec.DecodeError as error:
        raise Refused("what answers there is not a Soma server") from error
    if not isinstance(answer, dict):
        raise Refused("what answers there is not a Soma server")
    return answer
