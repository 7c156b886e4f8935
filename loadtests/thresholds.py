"""Threshold expressions: what must hold, over metrics of a run.

``healthy.latency.p99[faults] <= max(5 * healthy.latency.p99[baseline], 0.05)``: one comparison of
two sums of products of numbers, metrics, ``min``, ``max`` and ``abs``. A metric is a dotted name,
with a window in brackets where it is asked for a part of the run. Nothing is evaluated as Python.
"""

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loadtests.errors import ThresholdError

__all__ = ["Reference", "Threshold", "merged"]

_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right if right else math.copysign(math.inf, left),
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"min": min, "max": max, "abs": abs}
_LONGEST = 500
_HIGHEST = 1e18


@dataclass(frozen=True, slots=True)
class Reference:
    """A metric as an expression names it.

    Attributes:
        metric: its dotted name.
        window: the part of the run that is meant; None for all of it.
    """

    metric: str
    window: str | None = None

    def __str__(self) -> str:
        """Write it as an expression does."""
        return self.metric if self.window is None else f"{self.metric}[{self.window}]"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One expression, read and checked for its form; whether its metrics exist is not known here.

    Attributes:
        text: as it was written.
        references: the metrics on both sides, in order, each once.
        subject: the first of them: what it is about.
        bound: what stands on the other side of the subject, with the comparison.
    """

    text: str
    references: tuple[Reference, ...]
    subject: Reference
    bound: str
    _body: ast.Compare

    @classmethod
    def parse(cls, text: str) -> "Threshold":
        """Read an expression.

        Raises:
            ThresholdError: it has not this form; the message says what is wrong.
        """
        text = " ".join(text.split())
        if len(text) > _LONGEST:
            raise _wrong(text[:40] + "…", f"it is longer than {_LONGEST} characters")
        try:
            body = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = getattr(error, "msg", None) or str(error)
            raise _wrong(text, f"it is no expression ({why})") from None
        if not isinstance(body, ast.Compare) or len(body.ops) != 1:
            raise _wrong(text, "it must be one comparison")
        if type(body.ops[0]) not in _COMPARISONS:
            raise _wrong(
                text, f"it must compare with {' '.join(s for s, _ in _COMPARISONS.values())}"
            )
        found: dict[Reference, None] = {}
        for side in (body.left, body.comparators[0]):
            _collect(text, side, found)
        if not found:
            raise _wrong(text, "no metric is in it")
        references = tuple(found)
        sign, _ = _COMPARISONS[type(body.ops[0])]
        bound = f"{sign} {ast.unparse(body.comparators[0])}"
        return cls(text, references, references[0], bound, body)

    def values(self, resolve: Callable[[Reference], float]) -> tuple[float, float]:
        """Return the numbers of both sides; what `resolve` raises comes through."""
        return _value(self._body.left, resolve), _value(self._body.comparators[0], resolve)

    def holds(self, left: float, right: float) -> bool:
        """Tell whether the comparison is true of two numbers."""
        _, compare = _COMPARISONS[type(self._body.ops[0])]
        return compare(left, right)

    @property
    def bare(self) -> bool:
        """Whether nothing but the subject stands on the left."""
        return _reference(self._body.left) is not None

    @property
    def simple(self) -> bool:
        """Whether it compares one metric with numbers only."""
        return len(self.references) == 1 and self.bare


def merged(thresholds: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Return thresholds with others in place of those about the same metric and window.

    Raises:
        ThresholdError: one of those given has not the right form.
    """
    replaced: dict[Reference, list[str]] = {}
    for text in given:
        replaced.setdefault(Threshold.parse(text).subject, []).append(text)
    kept = [text for text in thresholds if Threshold.parse(text).subject not in replaced]
    return (*kept, *(text for texts in replaced.values() for text in texts))


def _wrong(text: str, why: str) -> ThresholdError:
    return ThresholdError(
        f"threshold {text!r}: {why}; expected something like 'healthy.latency.p99 < 0.25'"
    )


def _reference(node: ast.expr) -> Reference | None:
    """Read a metric; None where the node is something else."""
    window = None
    if isinstance(node, ast.Subscript):
        if not isinstance(node.slice, ast.Name):
            return None
        window, node = node.slice.id, node.value
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return Reference(".".join([node.id, *reversed(parts)]), window)


def _collect(text: str, node: ast.expr, found: dict[Reference, None]) -> None:
    if (reference := _reference(node)) is not None:
        found[reference] = None
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        _collect(text, node.left, found)
        _collect(text, node.right, found)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        _collect(text, node.operand, found)
    elif isinstance(node, ast.Call) and _called(node) and node.args and not node.keywords:
        if _called(node) is abs and len(node.args) > 1:
            raise _wrong(text, "abs takes one number")
        for argument in node.args:
            _collect(text, argument, found)
    elif not _is_number(node):
        raise _wrong(
            text, f"{ast.unparse(node)!r} is neither a metric, a number, nor a sum of such"
        )


def _called(node: ast.Call) -> Callable[..., float] | None:
    return _FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None


def _is_number(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and abs(node.value) <= _HIGHEST
    )


def _value(node: Any, resolve: Callable[[Reference], float]) -> float:
    if (reference := _reference(node)) is not None:
        return resolve(reference)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, resolve), _value(node.right, resolve)
        return _ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, resolve)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Call):
        function = _called(node) or max
        numbers = [_value(argument, resolve) for argument in node.args]
        return abs(numbers[0]) if function is abs else function(numbers)
    return float(node.value)
