"""The input and the output of an execution: a request and its answer.

Nothing changes them once they are made; `replace` copies them. They are not frozen, which would
take 5 us more for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from graph.execution.running.observation import Observation

if TYPE_CHECKING:
    from graph.database.consistency import ConsistencyToken
    from graph.execution.live.stream import Stream
    from graph.execution.running.parts import Parts


class ExplainMode(Enum):
    """How an answer explains its operation: with PostgreSQL's plan, or also with a run of it."""

    PLAN = "plan"
    ANALYZE = "analyze"


@dataclass(slots=True)
class Request:
    """A request (GraphQL over HTTP, section 5.1)."""

    query: str | None
    variables: dict[str, Any]
    operation_name: str | None = None
    # The name of a document that is not sent, or not for the first time.
    document: str | None = None
    document_is_hash: bool = False
    # The key of the client: it has a token bucket, and idempotency keys are the client's own.
    client: str = ""
    # Whether the answer reports its cost.
    wants_cost: bool = False
    # Whether, and how, the answer explains its operation.
    explain: ExplainMode | None = None
    # The header Idempotency-Key: a mutation of its own is done once for each.
    idempotency_key: str | None = None
    # A query sees all that this token stands for, wherever it is read.
    token: ConsistencyToken | None = None
    # No mutation may be executed, as a GET must not change anything.
    only_query: bool = False
    # The answer may come in parts, if the document says so.
    takes_parts: bool = False
    # The answer may be a stream of results: without it, a subscription is refused.
    takes_stream: bool = False
    # The cursor of the last event that the client has, in place of the argument `after`.
    last_event_id: str | None = None
    # What becomes of it.
    observation: Observation = field(default_factory=Observation, compare=False, repr=False)

    @property
    def reports_cost(self) -> bool:
        return self.wants_cost or self.explain is not None


@dataclass(slots=True)
class Answer:
    """A response map (specification, section 7.1) as JSON, with its HTTP status.

    For an answer in parts, `body` is the first part. For a stream it is empty.
    """

    body: bytes
    status: int = 200
    retry_after_seconds: int | None = None
    # Of a mutation and of what is streamed, where there are replicas: reads with it see the change.
    token: ConsistencyToken | None = None
    # How long it may be kept, and by whom; None: not at all.
    cache_control: bytes | None = None
    parts: Parts | None = None
    stream: Stream | None = None
    # Whether the body has `extensions`, which are its last member then.
    is_extended: bool = False
    # Of its errors, in order.
    codes: tuple[str, ...] = ()
