"""Nobody reaches a use case but through the guard: every operation of every door is walked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from application.access import guarded
from application.access.guarded import Guarded
from application.access.permits import RULES, Operation, permit
from application.use_cases import UseCases
from container import Container
from domain.access import Permission, Principal
from domain.draft import Changes, Draft
from domain.errors import Forbidden
from domain.filter import Filter
from domain.memory import MemoryId
from domain.namespace import Namespace, NamespacePolicy, Scope
from domain.recall import RecallQuery
from entrypoints.grpc.service import OPERATIONS
from entrypoints.http.access import operation_of
from entrypoints.http.app import create_app
from entrypoints.mcp.tools import TOOLS
from entrypoints.worker.health import health_app
from tests.end_to_end.calling import calling
from tests.end_to_end.embedded import installation

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-long-bootstrap-key"
OPEN = {(method, path) for method in ("GET", "HEAD") for path in ("/healthz", "/readyz")}
ID = MemoryId("01999999-0000-7000-8000-000000000000")
HERE = Namespace("acme/here")

#: Operations of doors that are not routes of a Litestar application, by door. A test of each door
#: shows that what is asked for there is guarded.
DOORS: Mapping[str, Mapping[str, Operation]] = {
    "Kafka": {"memory.ingest": Operation.REMEMBER},
    "MCP": {
        "/mcp": Operation.READ_SCHEMA,
        **{f"{tool.name} {one}": one for tool in TOOLS for one in tool.operations},
    },
    "gRPC": OPERATIONS,
}


async def _nothing() -> AsyncIterator[Any]:
    no_lines: list[Any] = []
    for line in no_lines:
        yield line


#: How to call each method of the guard, and what it must ask leave for.
CALLS: Mapping[str, tuple[Callable[[Guarded], object], Operation, tuple[str, ...]]] = {
    "remember": (
        lambda g: g.remember(Draft(content="x", namespace=HERE)),
        Operation.REMEMBER,
        (HERE,),
    ),
    "remember_batch": (
        lambda g: g.remember_batch([Draft(content="x", namespace=n) for n in ("a", HERE, "a")]),
        Operation.REMEMBER,
        ("a", HERE),
    ),
    "recall": (
        lambda g: g.recall(RecallQuery(text="x", scope=Scope(HERE))),
        Operation.RECALL,
        (HERE,),
    ),
    "show": (lambda g: g.show(ID), Operation.SHOW, ()),
    "list_memories": (
        lambda g: g.list_memories(scope=Scope(HERE), filter=Filter()),
        Operation.LIST_MEMORIES,
        (HERE,),
    ),
    "history": (lambda g: g.history(ID), Operation.HISTORY, ()),
    "revise": (lambda g: g.revise(ID, Changes()), Operation.REVISE, ()),
    "forget": (lambda g: g.forget(ID), Operation.FORGET, ()),
    "erase": (lambda g: g.erase(ID), Operation.ERASE, ()),
    "connect": (lambda g: g.connect(source=ID, target=ID, type="t"), Operation.CONNECT, ()),
    "disconnect": (
        lambda g: g.disconnect(source=ID, target=ID, type="t"),
        Operation.DISCONNECT,
        (),
    ),
    "neighbors": (lambda g: g.neighbors(ID), Operation.NEIGHBORS, ()),
    "find_path": (lambda g: g.find_path(source=ID, target=ID), Operation.FIND_PATH, ()),
    "list_namespaces": (
        lambda g: g.list_namespaces(under=HERE),
        Operation.LIST_NAMESPACES,
        (HERE,),
    ),
    "show_namespace": (lambda g: g.show_namespace(HERE), Operation.SHOW_NAMESPACE, (HERE,)),
    "set_policy": (lambda g: g.set_policy(HERE, NamespacePolicy()), Operation.SET_POLICY, (HERE,)),
    "erase_namespace": (lambda g: g.erase_namespace(HERE), Operation.ERASE_NAMESPACE, (HERE,)),
    "watch": (lambda g: g.watch(HERE), Operation.WATCH, (HERE,)),
    "export": (lambda g: g.export(Scope(HERE)), Operation.EXPORT, (HERE,)),
    "import_lines": (
        lambda g: g.import_lines(lambda after, digest: _nothing()),
        Operation.IMPORT_LINES,
        (),
    ),
    "create_key": (
        lambda g: g.create_key(name="n", permission=Permission.READ, namespace=HERE),
        Operation.CREATE_KEY,
        (HERE,),
    ),
    "list_keys": (lambda g: g.list_keys(), Operation.LIST_KEYS, ()),
    "revoke_key": (lambda g: g.revoke_key("k"), Operation.REVOKE_KEY, ()),
    "diagnose": (lambda g: g.diagnose(), Operation.DIAGNOSE, ()),
    "shown_settings": (lambda g: g.shown_settings(), Operation.DIAGNOSE, ()),
    "pending": (lambda g: g.pending(Scope(HERE)), Operation.PENDING, ()),
    "reindex": (lambda g: g.reindex(), Operation.REINDEX, ()),
    "reconcile": (lambda g: g.reconcile(check=True), Operation.RECONCILE, ()),
    "backup": (lambda g: g.backup(Path("/backups/one")), Operation.BACKUP, ()),
    "list_jobs": (lambda g: g.list_jobs(), Operation.LIST_JOBS, ()),
    "show_job": (lambda g: g.show_job("j"), Operation.SHOW_JOB, ()),
    "cancel_job": (lambda g: g.cancel_job("j"), Operation.CANCEL_JOB, ()),
}


class Unreachable:
    """Stands where the use cases are: nothing of it may be touched."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"{name} was reached before anybody was asked")


def test_every_operation_has_a_rule() -> None:
    assert set(Operation) == set(RULES)


def test_every_use_case_has_a_method_of_the_guard() -> None:
    behind = {field.name for field in fields(UseCases)} - {"confirm"}

    assert behind == set(CALLS)
    public = {name for name in vars(Guarded) if not name.startswith("_")}
    assert public - {"use_cases", "principal", "home", "require"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_the_guard_asks_before_anything_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, operation, namespaces = CALLS[name]
    asked: list[tuple[object, ...]] = []

    def refuse(principal: Principal, operation: Operation, *namespaces: str) -> None:
        asked.append((principal, operation, namespaces))
        raise Forbidden("no")

    monkeypatch.setattr(guarded, "permit", refuse)
    somebody = Principal("somebody", Permission.ADMIN, within=HERE)

    async def called() -> None:
        result = call(Guarded(cast(UseCases, Unreachable()), somebody))
        if inspect.isawaitable(result):
            await result

    with pytest.raises(Forbidden):
        await called()
    assert [(somebody, operation, namespaces)] == asked


@pytest.mark.parametrize("operation", Operation)
def test_a_rule_is_kept(operation: Operation) -> None:
    rule = RULES[operation]
    for permission in Permission:
        for within in (None, Namespace("acme")):
            allowed = permission.includes(rule.permission) and not (rule.everywhere and within)
            somebody = Principal("somebody", permission, within)
            if allowed:
                permit(somebody, operation)
            else:
                with pytest.raises(Forbidden):
                    permit(somebody, operation)


def doors() -> Iterator[tuple[str, ast.AST]]:
    """Return every piece of every door's code."""
    for path in sorted((ROOT / "entrypoints").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield str(path.relative_to(ROOT)), node


def test_no_door_calls_a_use_case_of_the_container() -> None:
    names = {field.name for field in fields(UseCases)}
    behind = names | {f"{name}_once" for name in names} | {f"{name}_as_job" for name in names}
    behind |= {"import_as_job", "start_job"}
    behind -= {"backup"}  # the copying itself, which the command line does where the store is
    health = {"diagnose"}  # for /readyz, which tells no more than whether servers answer

    reached = {
        f"{path}: container.{node.attr}"
        for path, node in doors()
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"container", "owned"}
        and node.attr in behind - health
    }

    assert reached == set()


def routes_of(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return method, path and handler of everything an application answers, OPTIONS aside.

    What is mounted has no routes to walk: it belongs into `DOORS`.
    """
    return [
        (str(method), route.path, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


def applications(container: Container) -> dict[str, Litestar]:
    """Return every application there is."""
    return {"API": create_app(container), "worker": health_app(container)}


def filled(path: str) -> str:
    """Return a path with something in place of its parameters."""
    return (
        path.replace("{memory_id:str}", ID)
        .replace("{key_id:str}", "k")
        .replace("{job_id:str}", "j")
        .replace("{path:path}", "acme")
        .replace("/{path}", "/acme")
    )


async def test_every_route_of_every_application_demands_a_key_but_for_health(
    tmp_path: Path,
) -> None:
    async with installation(tmp_path, bootstrap_key=KEY, rate_limit_failures=0) as soma:
        for app in applications(soma).values():
            for token in (None, "soma_0123456789abcdef_wrong"):
                async with calling(app, token) as http:
                    answers = {
                        (method, path): (await http.request(method, filled(path))).status_code
                        for method, path, _ in routes_of(app)
                    }
                assert len(answers) >= 3
                assert OPEN == {where for where, status in answers.items() if status != 401}


async def test_every_route_refuses_who_lacks_the_permission_before_it_reads_anything(
    tmp_path: Path,
) -> None:
    async with installation(tmp_path, bootstrap_key=KEY) as soma:
        everything = soma.guarded()(Principal("tester", Permission.ADMIN))
        for permission in Permission:
            made = await everything.create_key(
                name="k", permission=permission, namespace=Namespace("elsewhere")
            )
            for app in applications(soma).values():
                async with calling(app, made.token) as http:
                    for method, path, handler in routes_of(app):
                        operation = operation_of(handler)
                        if operation is None:
                            assert (method, path) in OPEN
                            continue
                        rule = RULES[operation]
                        if permission.includes(rule.permission) and not rule.everywhere:
                            continue
                        answer = await http.request(method, filled(path), content=b"{")
                        assert 403 == answer.status_code, (method, path, answer.text)


async def test_nothing_is_mounted_that_no_table_knows(tmp_path: Path) -> None:
    async with installation(tmp_path) as soma:
        for app in applications(soma).values():
            mounted = [route.path for route in app.routes if not isinstance(route, HTTPRoute)]
            assert set(mounted) <= {path for door in DOORS.values() for path in door}


def test_every_operation_of_the_other_doors_has_a_rule() -> None:
    for operations in DOORS.values():
        assert set(operations.values()) <= set(RULES)
