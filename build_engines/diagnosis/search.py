"""Where a graph first parts from a recording: bisection over the modules, in the order in which they end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from build_engines.diagnosis.graph import GraphRun
from build_engines.diagnosis.recording import APART, Array, Call, Imprint, Recording, difference, imprint
from build_engines.diagnosis.scopes import Scopes, enclosing
from build_engines.onnx_session import ENGINE_ERRORS

_MOST_STEPS = 200
_WITNESSES = 8
"""So many of the modules that follow are asked whether a difference was one at all."""


@dataclass(frozen=True, slots=True)
class Parting:
    """The first difference."""

    module: str
    value: str | None
    """The graph's value that differs."""
    error: float
    missing: bool = False
    """The graph has no node of the module at all."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """A module whose outcome can be compared."""

    call: Call
    values: tuple[str, ...]
    accepted: tuple[tuple[Imprint, ...], ...]
    """What one of its values may be equal to: its own outputs, or those of modules that were fused into it."""


class Search:
    """Compares values of a graph with what a recording says of the modules."""

    def __init__(self, run: GraphRun, scopes: Scopes, recording: Recording, tolerance: float) -> None:
        self._run = run
        self._scopes = scopes
        self._tolerance = tolerance
        calls = self._calls = recording.calls
        counts = Counter(call.module for call in calls)
        self.repeated = frozenset(module for module, count in counts.items() if count > 1)
        """Modules that are called several times: the graph does not tell the calls apart, so they are passed over."""
        self._stops = [self._stop(calls, index) for index, call in enumerate(calls) if self._comparable(call)]
        self.complete = True
        """The search came to its end; otherwise there were more differences to look into than it may."""

    def first(self) -> Parting | None:
        """The first module that gives something else although it takes the same; None where no module can be compared.

        A graph is a rewritten program: a value inside a fused operator may differ from the module's and mean nothing.
        So a difference counts only if nothing that is computed from it agrees again.
        """
        low, high = -1, len(self._stops) - 1
        if high < 0:
            return None
        for _ in range(_MOST_STEPS):
            if high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if self._error(self._stops[middle])[0] <= self._tolerance else (low, middle)
                continue
            healed = self._healed(high)
            if healed is None:
                return self._blame(low, high)
            low, high = healed, len(self._stops) - 1
        self.complete = False
        return self._blame(low, high)

    def _comparable(self, call: Call) -> bool:
        values = self._scopes.leaving.get(call.module)
        return bool(values and call.outputs) and call.module not in self.repeated

    def _stop(self, calls: tuple[Call, ...], index: int) -> _Stop:
        accepted = [tuple(brief[0] for brief in calls[index].outputs)]
        for call in calls[index + 1 :]:
            if self._scopes.leaving.get(call.module):
                break
            accepted.append(tuple(brief[0] for brief in call.outputs))
        return _Stop(calls[index], tuple(self._scopes.leaving[calls[index].module]), tuple(accepted))

    def _error(self, stop: _Stop) -> tuple[float, str | None]:
        """How far the module's values are from what it gives, and the value nearest to it.

        A graph that does not run as far as this is `APART`.
        """
        try:
            found = {name: imprint(value) for name, value in self._values(stop.values).items()}
        except ENGINE_ERRORS:
            return APART, stop.values[-1]
        return min((_furthest(expected, found) for expected in stop.accepted), key=lambda pair: pair[0])

    def _values(self, names: tuple[str, ...]) -> dict[str, Array]:
        return self._run.values(tuple(dict.fromkeys(names)))

    def _healed(self, high: int) -> int | None:
        """The first of the following modules that agrees although the one at ``high`` goes into it."""
        suspects = set(self._stops[high].values)
        following = range(high + 1, min(high + 1 + _WITNESSES, len(self._stops)))
        for index in following:
            stop = self._stops[index]
            telling = any(brief.real for brief in stop.accepted[0])
            depends = any(self._run.needs(name, suspects) for name in stop.values)
            if telling and depends and self._error(stop)[0] <= self._tolerance:
                return index
        return None

    def _blame(self, low: int, high: int) -> Parting:
        """The module, or the one around it where what it takes differs already, or one that was left out of them."""
        stop = self._stops[high]
        error, value = self._error(stop)
        module = stop.call.module
        if taken := self._entering(stop.call):
            error, value = taken
            maker = self._scopes.producers.get(value)
            module = "" if maker is None else self._scopes.owner(maker)
        left_out = self._left_out(low, high, module)
        return Parting(left_out or module, value, error, missing=left_out is not None)

    def _left_out(self, low: int, high: int, around: str) -> str | None:
        """The outermost module inside this one that ran between the two stops, did something, and has no node."""
        first = self._fused(self._stops[low]) + 1 if low >= 0 else 0
        between = self._calls[first : self._calls.index(self._stops[high].call)]
        found = [
            call.module
            for call in between
            if around in enclosing(call.module) and call.module not in self._scopes.leaving and _changes(call)
        ]
        return min(found, key=lambda module: module.count("."), default=None)

    def _fused(self, stop: _Stop) -> int:
        """Position of the last call that was fused into what this stop's module computes."""
        found = {name: imprint(value) for name, value in self._values(stop.values).items()}
        gaps = [_furthest(expected, found)[0] for expected in stop.accepted]
        return self._calls.index(stop.call) + gaps.index(min(gaps))

    def _entering(self, call: Call) -> tuple[float, str] | None:
        """The error of what the module takes in the graph, and the value, if it is not what it takes in torch."""
        names = tuple(name for name in self._scopes.entering.get(call.module, []) if name in self._scopes.producers)
        if not names or not call.inputs:
            return None
        try:
            found = {name: imprint(value) for name, value in self._values(names).items()}
        except ENGINE_ERRORS:
            return APART, names[-1]
        errors = [self._taken(before.inputs, found) for before in self._fused_into(call)]
        return None if None in errors else errors[0]

    def _taken(self, inputs: tuple[tuple[Imprint, ...], ...], found: dict[str, Imprint]) -> tuple[float, str] | None:
        expected = tuple(brief[0] for brief in inputs)
        comparable = tuple(brief for brief in expected if _alike(brief, found) or len(found) == len(expected) == 1)
        if not comparable:
            return None
        error, value = _furthest(comparable, found)
        return None if error <= self._tolerance or value is None else (error, value)

    def _fused_into(self, call: Call) -> Iterator[Call]:
        """The call, and those before it whose work its own nodes may do: they have none."""
        yield call
        for before in reversed(self._calls[: self._calls.index(call)]):
            if before.module in self._scopes.leaving:
                return
            yield before


def _furthest(expected: tuple[Imprint, ...], found: dict[str, Imprint]) -> tuple[float, str | None]:
    """The largest error of the tensors expected, each beside the value nearest to it; and that value.

    A tensor of a shape that no value has was rearranged by the graph's rewriting, unless none has its shape.
    """
    pairs = []
    for brief in expected:
        candidates = _alike(brief, found) or (list(found) if len(expected) == 1 else [])
        errors = [(difference(brief, found[name]), name) for name in candidates]
        if errors:
            pairs.append(min(errors, key=lambda pair: pair[0]))
    return max(pairs, key=lambda pair: pair[0], default=(APART, next(reversed(found), None)))


def _changes(call: Call) -> bool:
    """Whether a module gives anything that it did not take."""
    taken = [brief[0] for brief in call.inputs]
    return any(all(difference(before, after[0]) > 0 for before in taken) for after in call.outputs)


def _alike(brief: Imprint, found: dict[str, Imprint]) -> list[str]:
    return [name for name, value in found.items() if value.shape == brief.shape and value.real == brief.real]
