"""What the checks broadcast: numbered, in whichever form a manager takes, and found again."""

import json
import re
import typing
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

from flock_ws.events import (
    AgentActivatedEvent,
    AgentCompletedEvent,
    AgentErrorEvent,
    BatchItemAddedEvent,
    CorrelationGroupUpdatedEvent,
    MessagePublishedEvent,
    StreamingOutputEvent,
    SubscriptionInfo,
    VisibilitySpec,
)
from simulators.contract.signatures import AdapterError

__all__ = [
    "EVERYTHING",
    "build_model",
    "change",
    "events_of_every_kind",
    "forgettable",
    "mark",
    "number_of",
    "plain",
    "plain_text",
    "spoil_encoding",
    "streaming",
]

_MARK = re.compile(r"flock#(\d+)#")
_WHEN = datetime(2026, 1, 1, 9, tzinfo=UTC)

EVERYTHING = 'quote " backslash \\ tab \t null \x00 ä 東京 \u2028 \u200d 👩‍🚀 \U0010ffff'
"""Text that a careless encoder breaks: everything JSON must escape, and all planes of Unicode."""


def mark(number: int) -> str:
    """Return the text by which the event of this number is known on the wire."""
    return f"flock#{number}#"


def number_of(message: str | bytes) -> int | None:
    """Return the number of the event in a message; None for anything else, such as a ping."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
    found = _MARK.search(text)
    return int(found[1]) if found else None


def streaming(number: int, *, agent: str = "agent", text: str = "") -> StreamingOutputEvent:
    """Return one piece of an agent's output."""
    return StreamingOutputEvent(
        correlation_id="contract",
        timestamp=_WHEN,
        agent_name=agent,
        run_id="run",
        output_type="llm_token",
        content=mark(number) + text,
        sequence=number,
    )


def forgettable(number: int, *, text: str = "") -> AgentCompletedEvent:
    """Return an event that no history keeps."""
    return AgentCompletedEvent(
        correlation_id="contract",
        timestamp=_WHEN,
        agent_name=mark(number) + text,
        run_id="run",
        duration_ms=1.0,
    )


def events_of_every_kind(number: int) -> list[Any]:
    """Return one event of each kind of the dashboard, numbered from here, every field filled."""
    text = [mark(number + at) + EVERYTHING for at in range(7)]
    return [
        AgentActivatedEvent(
            correlation_id="c",
            timestamp=_WHEN,
            agent_name=text[0],
            agent_id="a",
            run_id="r",
            consumed_types=["A", "B"],
            consumed_artifacts=["1"],
            produced_types=["C"],
            subscription_info=SubscriptionInfo(from_agents=["x"], channels=["y"], mode="direct"),
            labels=["l"],
            tenant_id="t",
            max_concurrency=3,
        ),
        MessagePublishedEvent(
            correlation_id="c",
            timestamp=_WHEN,
            artifact_id="1",
            artifact_type="A",
            produced_by="p",
            payload={"text": text[1], "deep": {"list": [1, 2.5, None, True]}},
            visibility=VisibilitySpec(
                kind="Private", agents=["a"], required_labels=["l"], tenant_id="t"
            ),
            tags=["t"],
            partition_key="k",
            version=2,
            consumers=["q"],
        ),
        StreamingOutputEvent(
            correlation_id="c",
            timestamp=_WHEN,
            agent_name="agent",
            run_id="r",
            output_type="log",
            content=text[2],
            sequence=7,
            is_final=True,
            artifact_id="1",
            artifact_type="A",
        ),
        AgentCompletedEvent(
            correlation_id="c",
            timestamp=_WHEN,
            agent_name=text[3],
            run_id="r",
            duration_ms=12.5,
            artifacts_produced=["1"],
            metrics={"tokens": 3},
            final_state={"done": True},
        ),
        AgentErrorEvent(
            correlation_id="c",
            timestamp=_WHEN,
            agent_name="agent",
            run_id="r",
            error_type="E",
            error_message=text[4],
            traceback="line\nline",
            failed_at=_WHEN,
        ),
        CorrelationGroupUpdatedEvent(
            timestamp=_WHEN,
            agent_name="agent",
            subscription_index=1,
            correlation_key=text[5],
            collected_types={"A": 1},
            required_types={"A": 1, "B": 2},
            waiting_for=["B"],
            elapsed_seconds=0.5,
            expires_in_seconds=2.5,
            expires_in_artifacts=4,
            artifact_id="1",
            artifact_type="A",
            is_complete=False,
        ),
        BatchItemAddedEvent(
            timestamp=_WHEN,
            agent_name="agent",
            subscription_index=1,
            items_collected=1,
            items_target=5,
            items_remaining=4,
            elapsed_seconds=0.5,
            timeout_seconds=10.0,
            timeout_remaining_seconds=9.5,
            will_flush="on_size",
            artifact_id=text[6],
            artifact_type="A",
        ),
    ]


def plain(number: int, *, text: str = "") -> dict[str, Any]:
    """Return a numbered dictionary, as applications broadcast them."""
    return {"type": "event", "number": number, "text": mark(number) + text}


def plain_text(number: int, *, text: str = "") -> str:
    """Return a numbered text. It is JSON, so that a manager may pass it on as such."""
    return json.dumps(plain(number, text=text), ensure_ascii=False)


def build_model(model: Any, number: int, *, text: str = "", depth: int = 0) -> Any:
    """Make an event of an application's own Pydantic model, with the number in its texts.

    Raises:
        AdapterError: a field is of a kind that cannot be made up.
    """
    values: dict[str, Any] = {}
    marked = False
    for name, field in model.model_fields.items():
        if field.is_required() or (field.annotation is str and not marked):
            values[name] = _value(field.annotation, number, text=text, depth=depth, where=name)
            marked = marked or field.annotation is str
    try:
        return model(**values)
    except ValueError as error:
        raise AdapterError(
            f"no event of {model.__name__} could be made up ({_first_line(error)}): name a "
            "function that makes the n-th, in the configuration file: "
            "payload = 'yourapp.tests:make_event'"
        ) from error


def change(message: Any) -> None:
    """Change a message in place, so that who encodes it now can be told."""
    if isinstance(message, dict):
        message.update(text="SPOILED", number=-1)
        return
    for name, value in list(message):
        if isinstance(value, str) and number_of(value) is not None:
            setattr(message, name, value + "SPOILED")


def spoil_encoding(message: Any) -> bool:
    """Make a message impossible to encode, in place; return whether that could be done."""
    if isinstance(message, dict):
        message["impossible"] = object()
        return True
    for name, value in list(message):
        if isinstance(value, str) and number_of(value) is not None:
            vars(message)[name] = object()
            return True
    return False


def _value(annotation: Any, number: int, *, text: str, depth: int, where: str) -> Any:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return inner[0]
    if origin is not None and inner and origin not in {list, dict, set, tuple}:
        choices = [part for part in inner if part is not type(None)]
        return _value(choices[0], number, text=text, depth=depth, where=where)
    made: dict[Any, Any] = {
        str: mark(number) + text,
        int: number,
        float: float(number),
        bool: True,
        bytes: mark(number).encode(),
        datetime: _WHEN,
        date: _WHEN.date(),
        dict: {"text": mark(number) + text},
        list: [],
        set: set(),
        tuple: (),
        Any: mark(number) + text,
    }
    key = origin or annotation
    if key in made:
        return made[key]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation))
    if hasattr(annotation, "model_fields") and depth < 4:  # noqa: PLR2004  # deeper is a mistake, or a cycle
        return build_model(annotation, number, text=text, depth=depth + 1)
    raise AdapterError(
        f"no value for the field {where!r} of type {annotation!r} could be made up: name a "
        "function that makes the n-th event, in the configuration file: "
        "payload = 'yourapp.tests:make_event'"
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
