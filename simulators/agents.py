"""How the run of one agent looks from a dashboard: its events, from a seed.

The public way in is `simulators.events`. Faker is imported when a `Source` is made.
"""

import importlib
import itertools
import random
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from flock_ws.events import (
    AgentActivatedEvent,
    AgentCompletedEvent,
    AgentErrorEvent,
    BatchItemAddedEvent,
    CorrelationGroupUpdatedEvent,
    DashboardEvent,
    MessagePublishedEvent,
    StreamingOutputEvent,
    SubscriptionInfo,
    VisibilitySpec,
)
from simulators.errors import SimulatorError

__all__ = ["ROLES", "Run", "Source", "Stamp", "names", "worker"]

Stamp = Callable[[], datetime]
"""Gives the time of an event that is being made, with its time zone."""

ROLES = {
    "researcher": (["ResearchQuestion"], "ResearchReport"),
    "code_reviewer": (["PullRequest", "StyleGuide"], "ReviewComment"),
    "summarizer": (["ResearchReport"], "Summary"),
    "translator": (["Summary"], "TranslatedSummary"),
    "fact_checker": (["ResearchReport", "Source"], "Verdict"),
    "planner": (["Goal"], "Plan"),
    "bug_triager": (["BugReport"], "TriageDecision"),
    "report_writer": (["Summary", "Verdict"], "Report"),
}
_FOREIGN = (
    " Zürich, naïve Bayes",
    " résumé: „fertig“",
    " データを確認しました。",
    " Проверка завершена",
    " ✅ done 🎉",
    " 用户反馈很好",
    " مرحبا",
)
_LOG_LINES = (
    "calling tool web_search(query={!r})",
    "retrieved 8 documents for {!r}",
    "cache miss for {!r}, asking the model",
    "validated output against {!r}",
)
_ERRORS = (
    (
        "TimeoutError",
        "the model did not answer within 60.0 s",
        "response = await client.post(body)",
    ),
    ("RateLimitError", "429: retry after 20 s", "raise RateLimitError(response)"),
    (
        "JSONDecodeError",
        "Expecting ',' delimiter: line 1 column 812 (char 811)",
        "return json.loads(completion.text)",
    ),
    (
        "ValidationError",
        "1 validation error for output: field 'confidence' is required",
        "return output_type.model_validate(fields)",
    ),
)
# About the size of a language model's tokens: up to six characters and the space before them.
_TOKEN = re.compile(r"\s?\S{1,6}")


@dataclass(slots=True)
class Source:
    """Where the words, ids and times of events come from."""

    seed: int | str
    start: datetime
    stamp: Stamp | None
    draw: random.Random = field(init=False)
    words: Any = field(init=False)

    def __post_init__(self) -> None:
        """Take the words from Faker.

        Raises:
            SimulatorError: it is not installed.
        """
        try:
            faker = importlib.import_module("faker")
        except ModuleNotFoundError as error:
            raise SimulatorError(
                "realistic events need Faker, which is not installed: "
                "pip install 'flock-ws[testing]' (numbered_events() does without)"
            ) from error
        self.draw = random.Random(self.seed)
        self.words = faker.Faker()
        self.words.seed_instance(self.seed)

    def after(self, seconds: float) -> datetime:
        """Return the next event's time, so long after the last one's."""
        if self.stamp is not None:
            return self.stamp()
        self.start += timedelta(seconds=seconds)
        return self.start

    def id(self) -> str:
        """Make an id up."""
        return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))

    def tokens(self, count: int) -> list[str]:
        """Return the pieces of a text as a model would stream it, now and then not ASCII."""
        pieces: list[str] = []
        while len(pieces) < count:
            text = self.words.paragraph(nb_sentences=5)
            if self.draw.random() < 0.2:  # noqa: PLR2004 - now and then
                text += self.draw.choice(_FOREIGN)
            pieces.extend(_TOKEN.findall((" " if pieces else "") + text))
        return pieces[:count]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one agent."""

    source: Source
    agent_name: str
    tokens: int
    fails: bool
    correlation_id: str

    def events(self) -> Iterator[DashboardEvent]:
        """Make its events, one by one."""
        source = self.source
        consumed, produced = _role(self.agent_name)
        run_id, artifact_id = source.id(), source.id()
        started = source.after(source.draw.uniform(0.02, 0.2))
        shared = {"correlation_id": self.correlation_id, "agent_name": self.agent_name}
        yield AgentActivatedEvent(
            **shared,
            timestamp=started,
            agent_id=f"{self.agent_name}-{source.draw.randrange(1000):03d}",
            run_id=run_id,
            consumed_types=consumed,
            consumed_artifacts=[source.id() for _ in consumed],
            produced_types=[produced],
            subscription_info=SubscriptionInfo(channels=[kind.lower() for kind in consumed]),
            labels=[source.words.word()],
            max_concurrency=source.draw.choice((1, 1, 2, 4)),
        )
        # A run that fails does so in the middle of its stream, without a final piece.
        taken = source.draw.randrange(self.tokens) if self.fails else self.tokens
        pieces = source.tokens(self.tokens)[:taken]
        for sequence, piece in enumerate(pieces):
            final = sequence == self.tokens - 1
            kind, content = ("llm_token", piece) if final else self._output(piece)
            yield StreamingOutputEvent(
                **shared,
                timestamp=source.after(source.draw.uniform(0.01, 0.08)),
                run_id=run_id,
                output_type=kind,
                content=content,
                sequence=sequence,
                is_final=final,
                artifact_id=artifact_id if final else None,
                artifact_type=produced if final else None,
            )
        if self.fails:
            yield self._error(run_id)
            return
        artifacts = [artifact_id]
        artifacts += [source.id() for _ in range(source.draw.choice((0, 0, 0, 1)))]
        for artifact in artifacts:
            yield self._published(artifact, "".join(pieces))
        ended = source.after(source.draw.uniform(0.01, 0.1))
        yield AgentCompletedEvent(
            **shared,
            timestamp=ended,
            run_id=run_id,
            duration_ms=round((ended - started).total_seconds() * 1000, 3),
            artifacts_produced=artifacts,
            metrics={"tokens": len(pieces), "cost_usd": round(len(pieces) * 6e-6, 6)},
            final_state={"status": "done"},
        )

    def _output(self, piece: str) -> tuple[Literal["llm_token", "log", "stdout", "stderr"], str]:
        """Give a token, or once in a while a line of log or output in its place."""
        draw = self.source.draw.random()
        if draw > 0.06:  # noqa: PLR2004 - once in a while
            return "llm_token", piece
        kind: Literal["log", "stdout", "stderr"] = "log"
        if draw < 0.02:  # noqa: PLR2004 - more rarely
            kind = "stdout" if draw < 0.015 else "stderr"  # noqa: PLR2004 - most rarely
        line = self.source.draw.choice(_LOG_LINES)
        return kind, line.format(self.source.words.catch_phrase()) + "\n"

    def _published(self, artifact_id: str, text: str) -> MessagePublishedEvent:
        source = self.source
        _, produced = _role(self.agent_name)
        return MessagePublishedEvent(
            correlation_id=self.correlation_id,
            timestamp=source.after(source.draw.uniform(0.001, 0.02)),
            artifact_id=artifact_id,
            artifact_type=produced,
            produced_by=self.agent_name,
            payload={
                "title": source.words.catch_phrase(),
                "author": source.words.name(),
                "text": text,
                "confidence": round(source.draw.random(), 3),
                "sources": [source.words.uri() for _ in range(source.draw.randrange(4))],
            },
            visibility=VisibilitySpec(kind="Public"),
            tags=source.words.words(nb=2),
            consumers=[
                name for name, (kinds, _) in ROLES.items() if _role(self.agent_name)[1] in kinds
            ],
        )

    def _error(self, run_id: str) -> AgentErrorEvent:
        source = self.source
        kind, message, line = source.draw.choice(_ERRORS)
        at = source.after(source.draw.uniform(0.1, 2.0))
        role = self.agent_name.rstrip("-0123456789")
        frames = (
            ("runtime/scheduler.py", "_run_agent", "outputs = await agent.execute(context)"),
            (f"agents/{role}.py", "execute", "result = await self.engine.evaluate(artifacts)"),
            ("engines/model.py", "evaluate", line),
        )
        shown = "".join(
            f'  File "/app/{path}", line {source.draw.randrange(20, 600)}, in {name}\n'
            f"    {code}\n    {'^' * len(code)}\n"
            for path, name, code in frames
        )
        return AgentErrorEvent(
            correlation_id=self.correlation_id,
            timestamp=at,
            agent_name=self.agent_name,
            run_id=run_id,
            error_type=kind,
            error_message=message,
            traceback=f"Traceback (most recent call last):\n{shown}{kind}: {message}\n",
            failed_at=at,
        )


def _role(agent_name: str) -> tuple[list[str], str]:
    """Return what an agent of this name consumes and produces."""
    role = agent_name.rstrip("-0123456789")
    return ROLES.get(role, (["Task"], "Result"))


def names(source: Source) -> Iterator[str]:
    """Give each role once, then each again with a number."""
    roles = list(ROLES)
    source.draw.shuffle(roles)
    yield from roles
    for number in itertools.count(2):
        for role in roles:
            yield f"{role}-{number}"


def worker(source: Source, name: str, tokens: int, error_rate: float) -> Iterator[DashboardEvent]:
    """Make one agent's runs without an end, and what leads to each."""
    for index in itertools.count():
        correlation_id = source.id()
        yield from _gathering(source, name, correlation_id, index)
        length = max(1, round(tokens * source.draw.uniform(0.5, 1.5)))
        fails = source.draw.random() < error_rate
        yield from Run(source, name, length, fails, correlation_id).events()


def _gathering(
    source: Source, name: str, correlation_id: str, index: int
) -> Iterator[DashboardEvent]:
    """Make what an agent's subscription waits for: a batch, or a group of several types."""
    consumed, _ = _role(name)
    first: datetime | None = None
    if len(consumed) > 1:
        for have in range(1, len(consumed) + 1):
            at = source.after(source.draw.uniform(0.01, 0.3))
            first = first or at
            waited = (at - first).total_seconds()
            yield CorrelationGroupUpdatedEvent(
                timestamp=at,
                agent_name=name,
                subscription_index=0,
                correlation_key=correlation_id,
                collected_types=dict.fromkeys(consumed[:have], 1),
                required_types=dict.fromkeys(consumed, 1),
                waiting_for=consumed[have:],
                elapsed_seconds=waited,
                expires_in_seconds=300 - waited,
                artifact_id=source.id(),
                artifact_type=consumed[have - 1],
                is_complete=have == len(consumed),
            )
    elif index % 3 == 0:
        target = source.draw.randint(2, 4)
        for have in range(1, target + 1):
            at = source.after(source.draw.uniform(0.01, 0.3))
            first = first or at
            waited = (at - first).total_seconds()
            yield BatchItemAddedEvent(
                timestamp=at,
                agent_name=name,
                subscription_index=0,
                items_collected=have,
                items_target=target,
                items_remaining=target - have,
                elapsed_seconds=waited,
                timeout_seconds=30.0,
                timeout_remaining_seconds=max(0.0, 30 - waited),
                will_flush="on_size",
                artifact_id=source.id(),
                artifact_type=consumed[0],
            )
