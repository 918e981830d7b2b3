"""How a collection is laid out: vectors, indexes of every filter, shards and what lies on disk.

Every query names a namespace or a subtree, so there is no graph over the whole collection (m=0),
only graphs over the points that share an indexed value (payload_m): one per namespace, and by
`path` one per subtree, each used where its points are too many for a full scan. Namespaces are
tenants: their points lie together. This is the set-up that Qdrant documents for many tenants; what
it makes slow, a search over everything, is never asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from adapters.qdrant.points import DENSE, WORDS, axis_field
from domain.memory import COORDINATE_AXES_MAX

if TYPE_CHECKING:
    from qdrant_client import models
    from qdrant_client.conversions.common_types import PayloadSchemaType

PAYLOAD_LINKS = 16

Quantization = Literal["none", "scalar", "binary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is chosen when a collection is made; it does not change one that exists.

    With several replicas a write counts when most of them have it, and reads ask most of them.
    """

    quantization: Quantization = "none"
    on_disk: bool = False
    shards: int = 1
    replicas: int = 1

    @property
    def majority(self) -> int:
        """How many replicas have to confirm a write."""
        return self.replicas // 2 + 1

    @property
    def consistency(self) -> models.ReadConsistencyType | None:
        """How many replicas have to agree on what is read."""
        from qdrant_client import models

        return models.ReadConsistencyType.MAJORITY if self.replicas > 1 else None


def vectors(layout: Layout, dimension: int) -> dict[str, models.VectorParams]:
    """Return the dense vector: unit vectors, so that the dot product is the cosine."""
    from qdrant_client import models

    return {
        DENSE: models.VectorParams(
            size=dimension,
            distance=models.Distance.DOT,
            on_disk=layout.on_disk,
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=PAYLOAD_LINKS, on_disk=layout.on_disk),
            quantization_config=_quantization(layout),
        )
    }


def sparse_vectors(layout: Layout) -> dict[str, models.SparseVectorParams]:
    """Return the words, whose inverse frequencies the server keeps."""
    from qdrant_client import models

    return {
        WORDS: models.SparseVectorParams(
            index=models.SparseIndexParams(on_disk=layout.on_disk), modifier=models.Modifier.IDF
        )
    }


def payload_indexes(layout: Layout) -> Mapping[str, PayloadSchemaType]:
    """Return an index for every field that a filter names."""
    from qdrant_client import models

    disk = layout.on_disk or None
    keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, on_disk=disk)
    tenant = models.KeywordIndexParams(
        type=models.KeywordIndexType.KEYWORD, is_tenant=True, on_disk=disk
    )
    time = models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, on_disk=disk)
    integer = models.IntegerIndexParams(
        type=models.IntegerIndexType.INTEGER, lookup=True, range=True, on_disk=disk
    )
    number = models.FloatIndexParams(type=models.FloatIndexType.FLOAT, on_disk=disk)
    flag = models.BoolIndexParams(type=models.BoolIndexType.BOOL)
    return {
        "namespace": tenant,
        **dict.fromkeys(
            ("path", "memory", "role", "kind", "tags", "actor", "session", "facts"), keyword
        ),
        **dict.fromkeys(("happened", "valid_from", "valid_to", "expires"), time),
        **dict.fromkeys(("level", "arity"), integer),
        **{axis_field(axis): number for axis in range(COORDINATE_AXES_MAX)},
        "numbers[].path": keyword,
        "numbers[].value": number,
        "cut": flag,
    }


def search_params(layout: Layout, *, exact: bool) -> models.SearchParams:
    """Return how to search; what quantization nominates is scored again by the server."""
    from qdrant_client import models

    if exact:
        return models.SearchParams(exact=True)
    if layout.quantization == "none":
        return models.SearchParams()
    return models.SearchParams(
        quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0)
    )


def _quantization(layout: Layout) -> models.QuantizationConfig | None:
    from qdrant_client import models

    if layout.quantization == "scalar":
        scalar = models.ScalarQuantizationConfig(
            type=models.ScalarType.INT8, always_ram=layout.on_disk or None
        )
        return models.ScalarQuantization(scalar=scalar)
    if layout.quantization == "binary":
        binary = models.BinaryQuantizationConfig(always_ram=layout.on_disk or None)
        return models.BinaryQuantization(binary=binary)
    return None
