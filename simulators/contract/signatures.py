"""What the parameters of somebody's method mean, by their names and annotations."""

import ast
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from simulators.errors import SimulatorError

__all__ = [
    "AdapterError",
    "Argument",
    "Call",
    "Role",
    "model_of",
    "read_call",
    "read_mapping",
    "source_of",
]

Role = Literal[
    "socket", "id", "room", "text", "json", "event", "bytes", "payload", "kind", "nobody", "given"
]
"""What is passed: a WebSocket, who it is, a room, what is sent (in one of its forms; ``payload`` is
not decided), a word for its kind, nobody (a sender or an exclusion), or a literal."""


class AdapterError(SimulatorError):
    """It cannot be told how a manager is to be used; the message asks for what is missing."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call.

    Attributes:
        role: what is passed.
        name: the parameter's name, when it is passed by name.
        annotation: as written or resolved; None when there is none.
        literal: what is passed when the role is ``given``.
    """

    role: Role
    name: str | None = None
    annotation: Any = None
    literal: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """A method of a manager, and what to pass to it."""

    method: str
    arguments: tuple[Argument, ...]

    def __str__(self) -> str:
        """Show it as a line of code."""
        shown = [
            (f"{argument.name}=" if argument.name else "")
            + (repr(argument.literal) if argument.role == "given" else argument.role)
            for argument in self.arguments
        ]
        return f"{self.method}({', '.join(shown)})"

    def has(self, role: Role) -> bool:
        """Whether something of this role is passed."""
        return any(argument.role == role for argument in self.arguments)

    @property
    def payload(self) -> Argument | None:
        """The argument that is what is sent."""
        found = [argument for argument in self.arguments if argument.role in _PAYLOADS]
        return found[0] if found else None

    @property
    def is_bare(self) -> bool:
        """Whether what is sent is all that is passed, by position."""
        if len(self.arguments) != 1:
            return False
        (only,) = self.arguments
        return only.name is None and only.role in _PAYLOADS

    def with_payload(self, role: Role) -> "Call":
        """Return the same call with what is sent in this form."""
        return Call(
            self.method,
            tuple(
                Argument(role, argument.name, argument.annotation)
                if argument.role in _PAYLOADS
                else argument
                for argument in self.arguments
            ),
        )

    def bind(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and named arguments, given a value for each role."""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for argument in self.arguments:
            value = argument.literal if argument.role == "given" else values.get(argument.role)
            if argument.role == "id" and _is_int(argument.annotation):
                value = values.get("number", value)
            if argument.name is None:
                positional.append(value)
            else:
                named[argument.name] = value
        return positional, named


_PAYLOADS = frozenset({"text", "json", "event", "bytes", "payload"})
_ROOMS = re.compile(r"room|channel|topic|path|group|namespace|project|tenant|board|game|lobby")
_SOCKETS = re.compile(r"^(web_?socket|ws|sock(et)?|client|conn(ection)?|client_ws|peer)$")
_IDS = re.compile(r"(_id|id|user|username|name|key|session|identity|token|uuid)$")
_KINDS = re.compile(r"type|kind|topic|action|event_name|msg_type|^name$|^event$")
_NOBODY = re.compile(r"exclu|skip|except|ignore|sender|origin|from_|author|source|by$")
_SENT = re.compile(r"message|msg|text|content|data|payload|event|body|json|state|obj|update|packet")
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("websocket", "socket", "ws", "client", "connection"), "socket"),
    **dict.fromkeys(("id", "client_id", "user_id", "session_id", "user"), "id"),
    **dict.fromkeys(("room", "channel", "path", "topic", "group"), "room"),
    **dict.fromkeys(("message", "text", "str"), "text"),
    **dict.fromkeys(("json", "dict", "data"), "json"),
    **dict.fromkeys(("event", "model"), "event"),
    **dict.fromkeys(("payload",), "payload"),
    **dict.fromkeys(("kind", "type", "event_type"), "kind"),
    **dict.fromkeys(("nobody", "none", "None", "exclude", "sender"), "nobody"),
    "bytes": "bytes",
}


def read_mapping(text: str) -> Call | str:
    """Read what somebody typed: ``send_everything(message)``, or only a name.

    Returns:
        A call, or the bare name, whose parameters are then read from the method itself.

    Raises:
        AdapterError: it is neither.
    """
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", text)
    if match is None:
        raise AdapterError(
            f"{text!r} is no mapping: expected a method's name, or one with what to pass, such as "
            "broadcast(room, message)"
        )
    name, inside = match.groups()
    if inside is None:
        return str(name)
    arguments = []
    for part in filter(None, (part.strip() for part in inside.split(","))):
        key, _, word = part.rpartition("=")
        role = _ROLES.get(word.strip())
        if role is not None:
            arguments.append(Argument(role, key.strip() or None))
            continue
        try:
            literal = ast.literal_eval(word.strip())
        except (ValueError, SyntaxError):
            raise AdapterError(
                f"{text!r}: what is {word.strip()!r}? Give one of "
                f"{', '.join(dict.fromkeys(_ROLES))}, a number or a quoted text"
            ) from None
        arguments.append(Argument("given", key.strip() or None, literal=literal))
    return Call(str(name), tuple(arguments))


def read_call(
    method: str, function: Callable[..., Any], *, kind: Literal["join", "leave", "broadcast"]
) -> Call:
    """Read from a method's signature what to pass to it. Optional parameters are left alone.

    Raises:
        AdapterError: a parameter without a default could mean anything.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise AdapterError(
            f"{method}() does not tell its parameters; say what to pass: {_ask(kind, method)}"
        ) from None
    hints = _hints(function)
    required = [
        parameter
        for parameter in parameters
        if parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        and (
            parameter.default is parameter.empty
            or (kind == "broadcast" and _SENT.search(parameter.name) and len(parameters) == 1)
        )
    ]
    if not required and kind != "broadcast":
        # add(self, *websockets), or add(self, websocket=None)
        required = parameters[:1]
    annotated = [(parameter, hints.get(parameter.name)) for parameter in required]
    read = _read_broadcast if kind == "broadcast" else _read_membership
    arguments = []
    roles = read(annotated)
    for (parameter, annotation), role in zip(annotated, roles, strict=True):
        if role is None:
            raise AdapterError(
                f"{method}({', '.join(parameter.name for parameter in required)}): what is "
                f"{parameter.name!r}? Say what to pass: {_ask(kind, method)}"
            )
        by_name = parameter.kind is parameter.KEYWORD_ONLY
        arguments.append(Argument(role, parameter.name if by_name else None, annotation))
    call = Call(method, tuple(arguments))
    if kind == "broadcast" and call.payload is None:
        raise AdapterError(
            f"{call} is passed nothing that could be sent; say what to pass: {_ask(kind, method)}"
        )
    return call


def source_of(function: Any) -> str:
    """Return the source text of something, or nothing where there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _ask(kind: str, method: str) -> str:
    example = {
        "join": f"{method}(websocket, id)",
        "leave": f"{method}(websocket)",
        "broadcast": f"{method}(room, message)",
    }[kind]
    return f"--{kind} '{example}'"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  # a name that is there for type checkers only, or worse
        return dict(getattr(function, "__annotations__", {}))


def _read_membership(
    parameters: list[tuple[inspect.Parameter, Any]],
) -> list[Role | None]:
    roles: list[Role | None] = []
    for parameter, annotation in parameters:
        name = parameter.name.lower()
        if _says(annotation, "WebSocket") or (_SOCKETS.search(name) and not _is_plain(annotation)):
            roles.append("socket")
        elif _ROOMS.search(name):
            roles.append("room")
        elif _IDS.search(name) or (_SOCKETS.search(name) and _is_plain(annotation)):
            roles.append("id")
        else:
            roles.append(None)
    # One that is left over where a socket must be can be nothing else.
    if "socket" not in roles and roles.count(None) == 1 and "id" not in roles:
        roles[roles.index(None)] = "socket"
    return roles


def _read_broadcast(parameters: list[tuple[inspect.Parameter, Any]]) -> list[Role | None]:
    roles: list[Role | None] = [None] * len(parameters)
    candidates = []
    for at, (parameter, annotation) in enumerate(parameters):
        name = parameter.name.lower()
        if _NOBODY.search(name) or _says(annotation, "WebSocket"):
            roles[at] = "nobody"
        elif _is_sent(name, annotation):
            candidates.append(at)
        elif _ROOMS.search(name):
            roles[at] = "room"
        elif _IDS.search(name):
            roles[at] = "nobody"
        elif len(parameters) == 1:
            candidates.append(at)
    if candidates:
        # broadcast(event_type, payload): the last is what is sent, those before say what it is.
        for at in candidates[:-1]:
            roles[at] = "kind" if _KINDS.search(parameters[at][0].name.lower()) else None
        roles[candidates[-1]] = _form(parameters[candidates[-1]][1])
    return roles


def _form(annotation: Any) -> Role:
    """Tell the form of what is sent from its annotation."""
    if annotation is str:
        return "text"
    if annotation is bytes:
        return "bytes"
    origin = typing.get_origin(annotation)
    if annotation is dict or origin is dict or _says(annotation, "Mapping"):
        return "json"
    if model_of(annotation) is not None or str(annotation).endswith("Event"):
        return "event"
    return "payload"


def model_of(annotation: Any) -> Any:
    """Return the first Pydantic model that an annotation names, or None."""
    for part in (annotation, *typing.get_args(annotation)):
        if isinstance(part, type) and hasattr(part, "model_fields"):
            return part
    return None


def _is_sent(name: str, annotation: Any) -> bool:
    if _SENT.search(name):
        return True
    return _is_payload(annotation) and not _ROOMS.search(name) and not name.endswith("id")


def _is_payload(annotation: Any) -> bool:
    return annotation is not None and _form(annotation) in {"json", "event", "bytes"}


def _is_plain(annotation: Any) -> bool:
    return annotation in {str, int} or str(annotation) in {"str", "int", "UUID"}


def _is_int(annotation: Any) -> bool:
    return annotation is int or annotation == "int"


def _says(annotation: Any, word: str) -> bool:
    if annotation is None:
        return False
    return word in (annotation if isinstance(annotation, str) else str(annotation))
