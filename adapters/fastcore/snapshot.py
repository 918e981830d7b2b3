"""A large namespace's vectors as a file, so that a restart need not read them out of the store.

The file is a projection like what it was written from: it says which epoch, position and model it
belongs to, every part has a checksum, and whoever finds anything amiss throws it away. Vectors are
mapped, not read. It holds no row that was dead when it was written.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.fastcore import facts_file
from adapters.fastcore.chunk import Bits, Chunk, encoded
from adapters.fastcore.segment import Segment, Side, View
from adapters.fastcore.shelf import Shelf
from adapters.fastcore.spans import Spans
from domain.memory import MemoryId
from domain.namespace import Namespace

_MAGIC = b"SOMAFC01"
_ALIGNED = 64

Sections = dict[str, NDArray[Any]]


def pieces(namespace: Namespace, segment: Segment) -> Iterator[bytes | memoryview]:
    """Iterate over what a file consists of: the header, then every section at its place."""
    view = segment.view
    facts, columns = facts_file.written(view.facts)
    sections: Sections = {
        "ids": np.frombuffer("\n".join(view.ids[: view.count]).encode(), np.uint8),
        **{f"facts.{name}": array for name, array in columns.items()},
        **{f"spans.{name}": array for name, array in view.spans.written().items()},
    }
    sides = {}
    for name, side in (("own", view.own), ("context", view.context)):
        sides[name], more = _written_side(side, view.count)
        sections |= {f"{name}.{part}": array for part, array in more.items()}
    entries: dict[str, list[object]] = {}
    offset = 0
    for name, array in sections.items():
        offset += -offset % _ALIGNED
        data = _bytes(array)
        entries[name] = [offset, data.nbytes, zlib.crc32(data), array.dtype.str, array.shape]
        offset += data.nbytes
    header = json.dumps(
        {
            "namespace": namespace,
            "model": segment.model,
            "epoch": view.epoch,
            "watermark": view.watermark,
            "count": view.count,
            "facts": facts,
            "sides": sides,
            "sections": entries,
        }
    ).encode()
    start = len(_MAGIC) + 16 + len(header)
    yield _MAGIC + len(header).to_bytes(8, "little") + zlib.crc32(header).to_bytes(8, "little")
    yield header + bytes(-start % _ALIGNED)
    written = 0
    for array in sections.values():
        gap = -written % _ALIGNED
        data = _bytes(array)
        yield bytes(gap)
        yield data
        written += gap + data.nbytes


def _written_side(side: Side, count: int) -> tuple[dict[str, object], Sections]:
    import faiss

    shelf = side.shelf
    sections: Sections = {
        "slots": side.slots[:count],
        "owners": shelf.owners[: shelf.count],
        "tail": shelf.tail[: shelf.tail_count],
    }
    chunks = []
    for number, chunk in enumerate(shelf.chunks):
        sections[f"{number}.floats"] = chunk.floats
        sections[f"{number}.codes"] = faiss.vector_to_array(chunk.codes.codes)
        if chunk.bits is not None:
            sections[f"{number}.bits"] = faiss.serialize_index(chunk.bits.index)
            sections[f"{number}.centre"] = chunk.bits.centre
        spread = None if chunk.bits is None else chunk.bits.spread
        chunks.append({"step": chunk.step, "error": chunk.error, "spread": spread})
    return {"chunks": chunks}, sections


def read(path: Path, namespace: Namespace, segment: Segment) -> Segment:
    """Let a segment map the file; raise `ValueError` and others for what is amiss."""
    mapped = np.memmap(path, np.uint8, mode="r")
    data: NDArray[np.uint8] = np.asarray(mapped)
    if bytes(data[: len(_MAGIC)]) != _MAGIC:
        raise ValueError("is of another layout")
    begin = len(_MAGIC) + 16
    length = int.from_bytes(bytes(data[8:16]), "little")
    raw = bytes(data[begin : begin + length])
    if zlib.crc32(raw) != int.from_bytes(bytes(data[16:24]), "little"):
        raise ValueError("has a damaged header")
    header = json.loads(raw)
    if (header["namespace"], header["model"]) != (namespace, segment.model):
        raise ValueError("belongs to something else")
    sections = _checked(data, begin + length, header["sections"])
    count = int(header["count"])
    ids = [MemoryId(id) for id in bytes(sections["ids"]).decode().split("\n")] if count else []
    if len(ids) != count:
        raise ValueError("has lost memories")
    own, context = (
        _read_side(header["sides"][name], _below(sections, name), segment.dimension)
        for name in ("own", "context")
    )
    segment.restore(
        View(
            ids=ids,
            alive=np.ones(count, np.bool_),
            own=own,
            context=context,
            spans=Spans.read(_below(sections, "spans")),
            facts=facts_file.read(header["facts"], _below(sections, "facts")),
            count=count,
            documents=count,
            epoch=header["epoch"],
            watermark=header["watermark"],
        )
    )
    return segment


def _read_side(written: Mapping[str, Any], sections: Sections, dimension: int) -> Side:
    import faiss

    def chunk(entry: tuple[int, Mapping[str, Any]]) -> Chunk:
        number, facts = entry
        floats = sections[f"{number}.floats"]
        codes = sections[f"{number}.codes"].reshape(floats.shape)
        made = encoded(floats, codes, facts["step"], facts["error"])
        if facts["spread"] is None:
            return made
        index = faiss.deserialize_index(np.array(sections[f"{number}.bits"]))
        if not isinstance(index, faiss.IndexRaBitQFastScan):
            raise TypeError("holds another kind of index")
        return made.having(Bits(index, sections[f"{number}.centre"], facts["spread"]))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        chunks = tuple(threads.map(chunk, enumerate(written["chunks"])))
    tail = sections["tail"].reshape(-1, dimension)
    shelf = Shelf(chunks, tail, len(tail), sections["owners"])
    return Side(shelf, sections["slots"])


def _checked(data: NDArray[np.uint8], start: int, entries: Mapping[str, list[Any]]) -> Sections:
    """Return every section; raise `ValueError` where one is not as it was written."""
    start += -start % _ALIGNED

    def section(entry: tuple[str, list[Any]]) -> tuple[str, NDArray[Any]]:
        name, (offset, size, checksum, dtype, shape) = entry
        part = data[start + offset : start + offset + size]
        if len(part) != size or zlib.crc32(part.data) != checksum:
            raise ValueError(f"has a damaged part {name}")
        return name, part.view(np.dtype(dtype)).reshape(shape)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(threads.map(section, entries.items()))


def _below(sections: Sections, name: str) -> Sections:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): array for key, array in sections.items() if key.startswith(prefix)
    }


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
