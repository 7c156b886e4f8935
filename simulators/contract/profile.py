"""The numbers of the promises. The defaults are the original manager's."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from simulators.errors import OptionError

__all__ = ["OnReturn", "Profile"]

OnReturn = Literal["delivered", "accepted", "nothing"]

_WORDS = {
    "history_kind": ("per_agent", "all", "none"),
    "order": ("each_client", "none"),
    "on_return": ("delivered", "accepted", "nothing"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a manager promises, as numbers. A promise set to None is not made, and not judged.

    Durations are seconds, sizes are bytes.

    Attributes:
        send_timeout: a client whose send takes longer is out of the pool.
        slack: how much later than a limit something may happen; in virtual time only a manager
            that polls needs any.
        heartbeat_interval: what the checks set where the manager takes it.
        ping: what a ping looks like: the JSON object that must be contained in it, or a text that
            it must be.
        ping_fields: what else must be in a JSON ping.
        heartbeat_jitter: each ping comes up to this much late, at random.
        pong_timeout: a client that answers no ping in this time is out. The original never looked.
        history_limit: how many events are remembered for each key.
        history_kind: ``per_agent`` remembers streaming events for each agent name, ``all``
            remembers every event in one list, ``none`` nothing.
        history_agents: how many agent names are remembered at most.
        history_bytes: how many bytes of JSON are remembered in all at most.
        history_sendable_only: whether an event that cannot be encoded stays out of the history. The
            original promises the opposite: it remembers first, always.
        sequence: the field of each JSON message that counts them.
        order: ``each_client``: every client gets events in the order of the calls. ``none``: in
            any.
        close_codes: the codes with which a client may be evicted. 1000 is not among them: browsers
            take it for a wish and do not come back.
        close_timeout: what a close may take until the manager goes on without it.
        shutdown_timeout: what a shutdown may take.
        shutdown_is_final: whether nobody is served after a shutdown.
        backlog_bytes: what may pile up for one client that does not read.
        event_bytes: an event that is larger when it is encoded is refused, and sent to nobody.
        on_return: what ``broadcast`` promises when it returns: every client of that moment has the
            event or is out (``delivered``), it will be sent (``accepted``), or nothing.
    """

    send_timeout: float | None = 0.5
    slack: float = 0.1
    heartbeat_interval: float | None = 10.0
    ping: str | Mapping[str, Any] | None = dataclasses.field(
        default_factory=lambda: {"type": "ping"}
    )
    ping_fields: tuple[str, ...] = ("timestamp",)
    heartbeat_jitter: float | None = None
    pong_timeout: float | None = None
    history_limit: int | None = 128_344
    history_kind: Literal["per_agent", "all", "none"] = "per_agent"
    history_agents: int | None = None
    history_bytes: int | None = None
    history_sendable_only: bool = False
    sequence: str | None = None
    order: Literal["each_client", "none"] = "each_client"
    close_codes: tuple[int, ...] | None = (1001, 1008, 1011, 1012, 1013)
    close_timeout: float | None = 5.0
    shutdown_timeout: float | None = 10.0
    shutdown_is_final: bool = True
    backlog_bytes: int | None = 8 * 1024 * 1024
    event_bytes: int | None = None
    on_return: OnReturn = "delivered"

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise OptionError(
                    f"profile: {name} must be one of {', '.join(words)}, "
                    f"not {getattr(self, name)!r}"
                )
        for name in (
            "send_timeout",
            "heartbeat_interval",
            "heartbeat_jitter",
            "pong_timeout",
            "history_limit",
            "history_agents",
            "history_bytes",
            "close_timeout",
            "shutdown_timeout",
            "backlog_bytes",
            "event_bytes",
        ):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < 1e12):  # noqa: PLR2004  # any finite number
                raise OptionError(
                    f"profile: {name} must be a number above 0 or None, not {value!r}"
                )

        self._check_forms()

    def _check_forms(self) -> None:
        """Refuse what is no number, no text or no list where one is meant."""
        codes, fields = self.close_codes, self.ping_fields
        forms = {
            "slack": (_is_number(self.slack) and self.slack >= 0, "a number of seconds"),
            "ping": (
                self.ping is None or isinstance(self.ping, str | Mapping),
                "a text, a table or None",
            ),
            "ping_fields": (_all_are(fields, str), "a list of names"),
            "sequence": (self.sequence is None or isinstance(self.sequence, str), "a name or None"),
            "close_codes": (codes is None or _all_are(codes, int), "a list of numbers or None"),
            "shutdown_is_final": (isinstance(self.shutdown_is_final, bool), "true or false"),
            "history_sendable_only": (
                isinstance(self.history_sendable_only, bool),
                "true or false",
            ),
        }
        for name, (right, expected) in forms.items():
            if not right:
                raise OptionError(
                    f"profile: {name} must be {expected}, not {getattr(self, name)!r}"
                )

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        form = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: list(value)
            if isinstance(value, tuple)
            else dict(value)
            if isinstance(value, Mapping)
            else value
            for name, value in form.items()
        }

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Self:
        """Read a profile from a table of a TOML file or from JSON. ``"none"`` stands for None.

        Raises:
            OptionError: a name is unknown, or a value means nothing.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(form.keys() - known):
            raise OptionError(
                f"profile: unknown {', '.join(unknown)}; it takes {', '.join(sorted(known))}"
            )
        values: dict[str, Any] = {
            name: None
            if value == "none" and name not in _WORDS
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in form.items()
        }
        return cls(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _all_are(values: object, kind: type) -> bool:
    return isinstance(values, tuple | list) and all(type(value) is kind for value in values)
