"""How fast one worker relays: `python benchmarks/relay.py` (target: at least 5,000 events/s).

Stores memories without waiting, then measures how long one relay needs until every event is
acknowledged by the event log and the watermarks are moved: `--namespaces` of them share the events.
In the same run the bare publisher sends the same events, without reading or moving anything.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict

from adapters.environment import load_settings
from benchmarks.measuring import report
from benchmarks.store_postgres import database, server
from benchmarks.texts import remarks
from container import Container, build, opened
from domain.draft import Draft, Wait
from domain.events import Event
from domain.namespace import Namespace
from tests.servers.kafka import kafka_of_ones_own

BATCH = 500
DATABASE = "soma_relay"


@contextmanager
def broker(servers: str | None) -> Iterator[str]:
    """Give the addresses of a broker: the one that is given, or a process from a wheel."""
    if servers is not None:
        yield servers
        return
    with tempfile.TemporaryDirectory() as folder:
        process = kafka_of_ones_own(Path(folder))
        process.start()
        try:
            yield process.url
        finally:
            process.kill()


def as_url(conninfo: str) -> str:
    """Write connection parameters as the URL that the settings want."""
    parts = conninfo_to_dict(conninfo)
    return f"postgresql:///?{urlencode(parts, quote_via=quote)}"


async def stored(container: Container, count: int, namespaces: int) -> list[Event]:
    """Store memories and return their events."""
    texts = remarks(count, seed=1)
    draw = random.Random(1)
    for start in range(0, count, BATCH):
        drafts = [
            Draft(content=f"{text} {start + n}", namespace=f"relay/{draw.randrange(namespaces)}")
            for n, text in enumerate(texts[start : start + BATCH])
        ]
        await container.remember_batch()(drafts, wait=Wait.STORED, actor="benchmark")
    events: list[Event] = []
    async with container.store().reading() as tx:
        for number in range(namespaces):
            events += await tx.feed.after(Namespace(f"relay/{number}"), 0, limit=count)
    return events


async def measured(container: Container, count: int, namespaces: int) -> list[dict[str, object]]:
    """Return the rates of the relay and of the bare publisher."""
    await container.topics().create_topics()
    events = await stored(container, count, namespaces)
    publisher = container.publisher()
    await publisher.publish(events[:10], epoch="warm-up")

    started = time.perf_counter()
    for start in range(0, len(events), 1000):
        await publisher.publish(events[start : start + 1000], epoch="bare")
    bare = len(events) / (time.perf_counter() - started)

    relay, sent = container.relay(), 0
    started = time.perf_counter()
    while done := await relay():
        sent += done
    rate = sent / (time.perf_counter() - started)
    assert sent == len(events)
    row = {"events": sent, "namespaces": namespaces, "relay /s": rate, "bare publisher /s": bare}
    return [{**row, "ratio": rate / bare}]


async def run(options: argparse.Namespace) -> None:
    """Measure with few and with many namespaces."""
    rows = []
    with server(options.postgres) as url, broker(options.kafka) as kafka:
        for namespaces in options.namespaces:
            async with database(url, DATABASE) as here:
                settings = load_settings(
                    {},
                    {
                        "data_dir": Path(tempfile.gettempdir()),
                        "postgres_url": as_url(here),
                        "kafka_servers": kafka,
                        "embedder": "none",
                    },
                )
                async with opened(build(settings)) as container:
                    rows += await measured(container, options.events, namespaces)
    report("relay", rows, as_json=options.json)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--namespaces", type=int, nargs="+", default=[10, 2000])
    parser.add_argument("--postgres", metavar="URL")
    parser.add_argument("--kafka", metavar="HOST:PORT")
    parser.add_argument("--json", action="store_true")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
