import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_EPISODIC: _ClassVar[Kind]
    KIND_SEMANTIC: _ClassVar[Kind]
    KIND_PROCEDURAL: _ClassVar[Kind]

class Wait(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_UNSPECIFIED: _ClassVar[Wait]
    WAIT_INDEXED: _ClassVar[Wait]
    WAIT_STORED: _ClassVar[Wait]

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_EXACT: _ClassVar[Scope]
    SCOPE_SUBTREE: _ClassVar[Scope]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_OUT: _ClassVar[Direction]
    DIRECTION_IN: _ClassVar[Direction]
    DIRECTION_BOTH: _ClassVar[Direction]
KIND_UNSPECIFIED: Kind
KIND_EPISODIC: Kind
KIND_SEMANTIC: Kind
KIND_PROCEDURAL: Kind
WAIT_UNSPECIFIED: Wait
WAIT_INDEXED: Wait
WAIT_STORED: Wait
SCOPE_UNSPECIFIED: Scope
SCOPE_EXACT: Scope
SCOPE_SUBTREE: Scope
DIRECTION_UNSPECIFIED: Direction
DIRECTION_OUT: Direction
DIRECTION_IN: Direction
DIRECTION_BOTH: Direction

class Source(_message.Message):
    __slots__ = ("actor", "session")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    actor: str
    session: str
    def __init__(self, actor: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class NewLink(_message.Message):
    __slots__ = ("target", "type", "weight", "properties_json")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    target: str
    type: str
    weight: float
    properties_json: str
    def __init__(self, target: _Optional[str] = ..., type: _Optional[str] = ..., weight: _Optional[float] = ..., properties_json: _Optional[str] = ...) -> None: ...

class Draft(_message.Message):
    __slots__ = ("content", "namespace", "kind", "payload_json", "tags", "coordinate", "importance", "pinned", "occurred_at", "valid_from", "valid_to", "expires_at", "ttl_seconds", "source", "vector", "links", "deduplicate")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COORDINATE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATE_FIELD_NUMBER: _ClassVar[int]
    content: str
    namespace: str
    kind: Kind
    payload_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    coordinate: _containers.RepeatedScalarFieldContainer[float]
    importance: float
    pinned: bool
    occurred_at: _timestamp_pb2.Timestamp
    valid_from: _timestamp_pb2.Timestamp
    valid_to: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    ttl_seconds: float
    source: Source
    vector: _containers.RepeatedScalarFieldContainer[float]
    links: _containers.RepeatedCompositeFieldContainer[NewLink]
    deduplicate: bool
    def __init__(self, content: _Optional[str] = ..., namespace: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., payload_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., coordinate: _Optional[_Iterable[float]] = ..., importance: _Optional[float] = ..., pinned: _Optional[bool] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl_seconds: _Optional[float] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., vector: _Optional[_Iterable[float]] = ..., links: _Optional[_Iterable[_Union[NewLink, _Mapping]]] = ..., deduplicate: _Optional[bool] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("id", "namespace", "kind", "level", "content", "payload_json", "tags", "coordinate", "importance", "pinned", "occurred_at", "valid_from", "valid_to", "expires_at", "created_at", "updated_at", "version", "seq", "content_hash", "source")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COORDINATE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    id: str
    namespace: str
    kind: Kind
    level: int
    content: str
    payload_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    coordinate: _containers.RepeatedScalarFieldContainer[float]
    importance: float
    pinned: bool
    occurred_at: _timestamp_pb2.Timestamp
    valid_from: _timestamp_pb2.Timestamp
    valid_to: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    version: int
    seq: int
    content_hash: str
    source: Source
    def __init__(self, id: _Optional[str] = ..., namespace: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., level: _Optional[int] = ..., content: _Optional[str] = ..., payload_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., coordinate: _Optional[_Iterable[float]] = ..., importance: _Optional[float] = ..., pinned: _Optional[bool] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., seq: _Optional[int] = ..., content_hash: _Optional[str] = ..., source: _Optional[_Union[Source, _Mapping]] = ...) -> None: ...

class StoreRequest(_message.Message):
    __slots__ = ("memory", "wait")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    memory: Draft
    wait: Wait
    def __init__(self, memory: _Optional[_Union[Draft, _Mapping]] = ..., wait: _Optional[_Union[Wait, str]] = ...) -> None: ...

class StoreResponse(_message.Message):
    __slots__ = ("memory", "indexed", "deduplicated")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    DEDUPLICATED_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    indexed: bool
    deduplicated: bool
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., indexed: _Optional[bool] = ..., deduplicated: _Optional[bool] = ...) -> None: ...

class StoreBatchRequest(_message.Message):
    __slots__ = ("memory", "wait")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    memory: Draft
    wait: Wait
    def __init__(self, memory: _Optional[_Union[Draft, _Mapping]] = ..., wait: _Optional[_Union[Wait, str]] = ...) -> None: ...

class StoreBatchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[StoreResponse]
    def __init__(self, results: _Optional[_Iterable[_Union[StoreResponse, _Mapping]]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: _containers.RepeatedScalarFieldContainer[float]
    max: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, min: _Optional[_Iterable[float]] = ..., max: _Optional[_Iterable[float]] = ...) -> None: ...

class RecallRequest(_message.Message):
    __slots__ = ("query", "vector", "namespace", "scope", "k", "kinds", "tags", "tags_any", "occurred_after", "occurred_before", "box", "where_json", "level", "source", "as_of", "include_expired", "min_relevance", "weights", "signals", "rerank", "expand", "budget_tokens")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class SignalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: bool
        def __init__(self, key: _Optional[str] = ..., value: _Optional[bool] = ...) -> None: ...
    QUERY_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TAGS_ANY_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AFTER_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    WHERE_JSON_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    MIN_RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    EXPAND_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    query: str
    vector: _containers.RepeatedScalarFieldContainer[float]
    namespace: str
    scope: Scope
    k: int
    kinds: _containers.RepeatedScalarFieldContainer[Kind]
    tags: _containers.RepeatedScalarFieldContainer[str]
    tags_any: _containers.RepeatedScalarFieldContainer[str]
    occurred_after: _timestamp_pb2.Timestamp
    occurred_before: _timestamp_pb2.Timestamp
    box: Box
    where_json: str
    level: int
    source: Source
    as_of: _timestamp_pb2.Timestamp
    include_expired: bool
    min_relevance: float
    weights: _containers.ScalarMap[str, float]
    signals: _containers.ScalarMap[str, bool]
    rerank: bool
    expand: int
    budget_tokens: int
    def __init__(self, query: _Optional[str] = ..., vector: _Optional[_Iterable[float]] = ..., namespace: _Optional[str] = ..., scope: _Optional[_Union[Scope, str]] = ..., k: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[Kind, str]]] = ..., tags: _Optional[_Iterable[str]] = ..., tags_any: _Optional[_Iterable[str]] = ..., occurred_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., occurred_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., box: _Optional[_Union[Box, _Mapping]] = ..., where_json: _Optional[str] = ..., level: _Optional[int] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., include_expired: _Optional[bool] = ..., min_relevance: _Optional[float] = ..., weights: _Optional[_Mapping[str, float]] = ..., signals: _Optional[_Mapping[str, bool]] = ..., rerank: _Optional[bool] = ..., expand: _Optional[int] = ..., budget_tokens: _Optional[int] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("memory", "score", "relevance", "parts")
    class PartsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    RELEVANCE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    score: float
    relevance: float
    parts: _containers.ScalarMap[str, float]
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., score: _Optional[float] = ..., relevance: _Optional[float] = ..., parts: _Optional[_Mapping[str, float]] = ...) -> None: ...

class RecallResponse(_message.Message):
    __slots__ = ("hits", "context", "degraded", "exact", "took_ms")
    HITS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    TOOK_MS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    context: str
    degraded: _containers.RepeatedScalarFieldContainer[str]
    exact: bool
    took_ms: float
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., context: _Optional[str] = ..., degraded: _Optional[_Iterable[str]] = ..., exact: _Optional[bool] = ..., took_ms: _Optional[float] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("id", "known_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    KNOWN_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    known_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., known_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("memory",)
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ...) -> None: ...

class ReviseRequest(_message.Message):
    __slots__ = ("id", "content", "kind", "payload_json", "tags", "coordinate", "importance", "pinned", "occurred_at", "valid_from", "valid_to", "expires_at", "ttl_seconds", "source", "vector", "clear", "expected_version", "wait")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    COORDINATE_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    content: str
    kind: Kind
    payload_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    coordinate: _containers.RepeatedScalarFieldContainer[float]
    importance: float
    pinned: bool
    occurred_at: _timestamp_pb2.Timestamp
    valid_from: _timestamp_pb2.Timestamp
    valid_to: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    ttl_seconds: float
    source: Source
    vector: _containers.RepeatedScalarFieldContainer[float]
    clear: _containers.RepeatedScalarFieldContainer[str]
    expected_version: int
    wait: Wait
    def __init__(self, id: _Optional[str] = ..., content: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., payload_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., coordinate: _Optional[_Iterable[float]] = ..., importance: _Optional[float] = ..., pinned: _Optional[bool] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_to: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl_seconds: _Optional[float] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., vector: _Optional[_Iterable[float]] = ..., clear: _Optional[_Iterable[str]] = ..., expected_version: _Optional[int] = ..., wait: _Optional[_Union[Wait, str]] = ...) -> None: ...

class ReviseResponse(_message.Message):
    __slots__ = ("memory", "indexed")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    INDEXED_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    indexed: bool
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., indexed: _Optional[bool] = ...) -> None: ...

class ForgetRequest(_message.Message):
    __slots__ = ("id", "erase")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERASE_FIELD_NUMBER: _ClassVar[int]
    id: str
    erase: bool
    def __init__(self, id: _Optional[str] = ..., erase: _Optional[bool] = ...) -> None: ...

class ForgetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LinkRequest(_message.Message):
    __slots__ = ("source", "target", "type", "weight", "properties_json")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    type: str
    weight: float
    properties_json: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., type: _Optional[str] = ..., weight: _Optional[float] = ..., properties_json: _Optional[str] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("source", "target", "type", "weight", "properties_json", "created_at", "seq")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    type: str
    weight: float
    properties_json: str
    created_at: _timestamp_pb2.Timestamp
    seq: int
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., type: _Optional[str] = ..., weight: _Optional[float] = ..., properties_json: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., seq: _Optional[int] = ...) -> None: ...

class LinkResponse(_message.Message):
    __slots__ = ("link",)
    LINK_FIELD_NUMBER: _ClassVar[int]
    link: Edge
    def __init__(self, link: _Optional[_Union[Edge, _Mapping]] = ...) -> None: ...

class NeighborsRequest(_message.Message):
    __slots__ = ("id", "type", "direction", "depth", "limit")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    direction: Direction
    depth: int
    limit: int
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ..., depth: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Neighbor(_message.Message):
    __slots__ = ("memory", "depth", "links")
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    memory: Memory
    depth: int
    links: _containers.RepeatedCompositeFieldContainer[Edge]
    def __init__(self, memory: _Optional[_Union[Memory, _Mapping]] = ..., depth: _Optional[int] = ..., links: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ...) -> None: ...

class NeighborsResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Neighbor]
    def __init__(self, items: _Optional[_Iterable[_Union[Neighbor, _Mapping]]] = ...) -> None: ...

class PathRequest(_message.Message):
    __slots__ = ("source", "target", "type", "weighted")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHTED_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    type: str
    weighted: bool
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., type: _Optional[str] = ..., weighted: _Optional[bool] = ...) -> None: ...

class PathResponse(_message.Message):
    __slots__ = ("memories", "links")
    MEMORIES_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    memories: _containers.RepeatedCompositeFieldContainer[Memory]
    links: _containers.RepeatedCompositeFieldContainer[Edge]
    def __init__(self, memories: _Optional[_Iterable[_Union[Memory, _Mapping]]] = ..., links: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("namespace", "after")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    after: str
    def __init__(self, namespace: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("id", "namespace", "seq", "type", "memory_id", "version", "at", "changed", "link_target", "link_type")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    LINK_TARGET_FIELD_NUMBER: _ClassVar[int]
    LINK_TYPE_FIELD_NUMBER: _ClassVar[int]
    id: str
    namespace: str
    seq: int
    type: str
    memory_id: str
    version: int
    at: _timestamp_pb2.Timestamp
    changed: _containers.RepeatedScalarFieldContainer[str]
    link_target: str
    link_type: str
    def __init__(self, id: _Optional[str] = ..., namespace: _Optional[str] = ..., seq: _Optional[int] = ..., type: _Optional[str] = ..., memory_id: _Optional[str] = ..., version: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed: _Optional[_Iterable[str]] = ..., link_target: _Optional[str] = ..., link_type: _Optional[str] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("position", "event")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    position: str
    event: Event
    def __init__(self, position: _Optional[str] = ..., event: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...
