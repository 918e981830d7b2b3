"""`soma demo`: remember, recall, correct, forget and link, on a small conversation.

Every step checks what came back; an answer that is missing makes the command fail.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from entrypoints.cli import conversation
from entrypoints.cli.client import Api, Json, connected
from entrypoints.cli.failure import Failure
from entrypoints.cli.memories import parts
from entrypoints.cli.printing import say, show_json, show_table

NAMESPACE = "demo"
SHOWN = 3
AMONG_FIRST = 3


class Story:
    """One run: what is said on the way, and what is reported with `--json` at the end."""

    def __init__(self, api: Api, *, namespace: str, quiet: bool) -> None:
        self.api = api
        self.namespace = namespace
        self.quiet = quiet
        self.report: Json = {"namespace": namespace, "questions": []}
        self._ids: dict[str, str] = {}

    def tell(self, text: str = "") -> None:
        """Say something to a person."""
        if not self.quiet:
            say(text)

    def id_of(self, beginning: str) -> str:
        """Return the id of the turn that begins like this."""
        [found] = [id for text, id in self._ids.items() if text.startswith(beginning)]
        return found

    @staticmethod
    def turns(namespace: str) -> list[Json]:
        """Return what is to be remembered, a minute between turns."""
        return [
            {
                "namespace": namespace,
                "content": text,
                "occurred_at": (datetime.fromisoformat(begun) + timedelta(minutes=n)).isoformat(),
                "source": {"actor": conversation.SPEAKERS[n % 2], "session": session},
            }
            for session, begun, texts in conversation.SESSIONS
            for n, text in enumerate(texts)
        ]

    async def load(self) -> None:
        """Remember the whole conversation in one batch."""
        turns = self.turns(self.namespace)
        began = time.perf_counter()
        answer = await self.api.send(
            "POST", "/v1/memories/batch", body={"memories": turns, "wait": "indexed"}
        )
        seconds = time.perf_counter() - began
        for result in answer["results"]:
            self._ids[result["memory"]["content"]] = result["memory"]["id"]
        self.report["remembered"] = len(turns)
        sessions = len(conversation.SESSIONS)
        self.tell(f"Remembered {len(turns)} turns of {sessions} sessions in {seconds:.1f} s.")

    async def ask(self, question: str, **more: object) -> list[Json]:
        """Recall, show the best hits with the parts of their scores, and return them."""
        body = {"query": question, "namespace": self.namespace, "k": SHOWN, **more}
        answer = await self.api.ask("/v1/recall", body)
        hits: list[Json] = answer["hits"]
        if not self.quiet:
            as_of = f"  (as of {more['as_of']})" if "as_of" in more else ""
            say(f"\n? {question}{as_of}")
            rows = [(hit["score"], parts(hit), _spoken(hit["memory"])) for hit in hits]
            show_table(("score", "parts", "memory"), rows, below=("parts",))
        return hits

    async def answer_questions(self) -> None:
        """Ask what the conversation answers; each answer must be among the first hits."""
        for question, beginning in conversation.QUESTIONS:
            hits = await self.ask(question)
            expected = self.id_of(beginning)
            ids = [hit["memory"]["id"] for hit in hits]
            _require(expected in ids[:AMONG_FIRST], f"{question} did not find {beginning!r}")
            entry = {"question": question, "rank": ids.index(expected) + 1, "hits": hits}
            self.report["questions"].append(entry)

    async def correct(self) -> None:
        """A fact stops being true: recall returns its successor, and the old one as of then."""
        old = await self._state(conversation.OLD_HOME)
        await self.api.send(
            "PATCH", f"/v1/memories/{old}", body={"valid_to": conversation.MOVED_AT}
        )
        new = await self._state(conversation.NEW_HOME, valid_from=conversation.MOVED_AT)
        self.tell(f"\nCorrected: {conversation.OLD_HOME} -> {conversation.NEW_HOME}")
        now = {hit["memory"]["id"] for hit in await self.ask(conversation.HOME_QUESTION)}
        _require(new in now and old not in now, "the correction did not replace the old fact")
        then = await self.ask(conversation.HOME_QUESTION, as_of=conversation.WHILE_IN_LISBON)
        past = {hit["memory"]["id"] for hit in then}
        _require(old in past and new not in past, "the old fact is not found as of its time")
        self.report["corrected"] = {"old": old, "new": new}

    async def forget(self) -> None:
        """What is forgotten is not recalled again."""
        forgotten = self.id_of(conversation.FORGOTTEN)
        before = {hit["memory"]["id"] for hit in await self.ask(conversation.FORGOTTEN_QUESTION)}
        _require(forgotten in before, f"{conversation.FORGOTTEN_QUESTION} found nothing to forget")
        await self.api.send("DELETE", f"/v1/memories/{forgotten}")
        self.tell(f"\nForgotten: {conversation.FORGOTTEN} ...")
        after = {hit["memory"]["id"] for hit in await self.ask(conversation.FORGOTTEN_QUESTION)}
        _require(forgotten not in after, "a forgotten memory was recalled")
        self.report["forgotten"] = forgotten

    async def follow(self) -> None:
        """Link three memories to a chain and find the way from one end to the other."""
        ids = [self.id_of(beginning) for beginning, _ in conversation.CHAIN]
        types = [link_type for _, link_type in conversation.CHAIN]
        for source, target, link_type in zip(ids[:-1], ids[1:], types[:-1], strict=True):
            body = {"source": source, "target": target, "type": link_type}
            await self.api.send("POST", "/v1/links", body=body)
        found = await self.api.get("/v1/paths", source=ids[0], target=ids[-1])
        way = [memory["id"] for memory in found["memories"]]
        _require(way == ids, "the path does not follow the links")
        self.tell("\nA path along links:")
        for memory, link_type in zip(found["memories"], types, strict=True):
            self.tell(f"  {memory['content']}")
            if link_type:
                self.tell(f"    --{link_type}-->")
        self.report["path"] = way

    async def _state(self, content: str, **validity: str) -> str:
        body = {"namespace": self.namespace, "content": content, "kind": "semantic", **validity}
        answer = await self.api.send("POST", "/v1/memories", body=body)
        memory_id: str = answer["memory"]["id"]
        return memory_id


async def demo(options: argparse.Namespace) -> int:
    """Tell the whole story; in a temporary data directory unless told otherwise."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="soma-demo-") as folder:
        if options.url is None and options.data is None:
            options.data = Path(folder)
            options.settings = replace(options.settings, data_dir=options.data)
        async with connected(options) as api:
            story = Story(api, namespace=options.namespace or NAMESPACE, quiet=options.json)
            await story.load()
            await story.answer_questions()
            await story.correct()
            await story.forget()
            await story.follow()
            if options.json:
                show_json(story.report)
            else:
                say(f"\nDone in {time.perf_counter() - began:.1f} s.")
    return 0


def _spoken(memory: Json) -> str:
    speaker = memory["source"]["actor"]
    return f"{speaker}: {memory['content']}" if speaker else str(memory["content"])


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Failure(f"the demo failed: {otherwise}")
