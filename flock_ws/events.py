"""The wire models: what a dashboard receives, one JSON text message for each event.

Field names are the names on the wire. Times are UTC and travel as ISO 8601 with ``Z``.
Nothing here knows of sockets, managers or clients.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = [
    "EVENT_KINDS",
    "AgentActivatedEvent",
    "AgentCompletedEvent",
    "AgentErrorEvent",
    "BatchItemAddedEvent",
    "CorrelationGroupUpdatedEvent",
    "DashboardEvent",
    "MessagePublishedEvent",
    "StreamingOutputEvent",
    "SubscriptionInfo",
    "VisibilitySpec",
]


def _now() -> datetime:
    return datetime.now(UTC)


class SubscriptionInfo(BaseModel):
    """What made an agent start: whom and which channels it listens to."""

    from_agents: list[str] = Field(default_factory=list)
    channels: list[str] = Field(default_factory=list)
    mode: str = "both"


class VisibilitySpec(BaseModel):
    """Who may see an artifact."""

    kind: str
    agents: list[str] | None = None
    required_labels: list[str] | None = None
    tenant_id: str | None = None


class AgentActivatedEvent(BaseModel):
    """An agent begins to work on what it consumed."""

    correlation_id: str
    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    agent_id: str
    run_id: str
    consumed_types: list[str]
    consumed_artifacts: list[str]
    produced_types: list[str]
    subscription_info: SubscriptionInfo
    labels: list[str]
    tenant_id: str | None = None
    max_concurrency: int = 1


class MessagePublishedEvent(BaseModel):
    """An artifact was published."""

    correlation_id: str
    timestamp: datetime = Field(default_factory=_now)
    artifact_id: str
    artifact_type: str
    produced_by: str
    payload: dict[str, Any]
    visibility: VisibilitySpec
    tags: list[str] = Field(default_factory=list)
    partition_key: str | None = None
    version: int = 1
    consumers: list[str] = Field(default_factory=list)


class StreamingOutputEvent(BaseModel):
    """One piece of an agent's live output. ``sequence`` counts from 0 within ``run_id``."""

    correlation_id: str
    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    run_id: str
    output_type: Literal["llm_token", "log", "stdout", "stderr"]
    content: str
    sequence: int
    is_final: bool = False
    artifact_id: str | None = None
    artifact_type: str | None = None


class AgentCompletedEvent(BaseModel):
    """An agent finished. ``duration_ms`` is in milliseconds, as on the original's wire."""

    correlation_id: str
    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    run_id: str
    duration_ms: float
    artifacts_produced: list[str] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
    final_state: dict[str, Any] = Field(default_factory=dict)


class AgentErrorEvent(BaseModel):
    """An agent failed."""

    correlation_id: str
    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    run_id: str
    error_type: str
    error_message: str
    traceback: str
    failed_at: datetime


class CorrelationGroupUpdatedEvent(BaseModel):
    """A group that waits for several types of artifact received one. Durations are in seconds."""

    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    subscription_index: int
    correlation_key: str
    collected_types: dict[str, int]
    required_types: dict[str, int]
    waiting_for: list[str]
    elapsed_seconds: float
    expires_in_seconds: float | None = None
    expires_in_artifacts: int | None = None
    artifact_id: str
    artifact_type: str
    is_complete: bool


class BatchItemAddedEvent(BaseModel):
    """A batch that waits for its size or its time limit received one item."""

    timestamp: datetime = Field(default_factory=_now)
    agent_name: str
    subscription_index: int
    items_collected: int
    items_target: int | None = None
    items_remaining: int | None = None
    elapsed_seconds: float
    timeout_seconds: float | None = None
    timeout_remaining_seconds: float | None = None
    will_flush: Literal["on_size", "on_timeout", "unknown"]
    artifact_id: str
    artifact_type: str


DashboardEvent = (
    AgentActivatedEvent
    | MessagePublishedEvent
    | StreamingOutputEvent
    | AgentCompletedEvent
    | AgentErrorEvent
    | CorrelationGroupUpdatedEvent
    | BatchItemAddedEvent
)
"""Any event of the dashboard."""

EVENT_KINDS: dict[str, type[BaseModel]] = {
    kind.__name__: kind
    for kind in (
        AgentActivatedEvent,
        MessagePublishedEvent,
        StreamingOutputEvent,
        AgentCompletedEvent,
        AgentErrorEvent,
        CorrelationGroupUpdatedEvent,
        BatchItemAddedEvent,
    )
}
"""Every kind of event by its class name, as ``POST /api/events`` and recorded files name it."""
