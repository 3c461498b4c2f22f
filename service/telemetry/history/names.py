"""What requests have in common, and small numbers to keep instead of it."""

from collections.abc import Iterable

from service.telemetry.tracing import OUR_FAULTS

Name = tuple[str, ...]
"""A kind of request: task, model, version, transport, code, reason. Or a version: task, model, version."""


def version_of(kind: Name) -> Name:
    """Task, model and version of a kind of request; model and version are empty where nobody knows them."""
    return kind[:3]


def is_fault(kind: Name) -> bool:
    """Whether requests of a kind got no answer by a fault of ours, not of the caller's; traces and alerts agree."""
    return kind[5] in OUR_FAULTS


def is_refusal(kind: Name) -> bool:
    """Whether requests of a kind got no answer, and by no fault of ours."""
    return bool(kind[5]) and not is_fault(kind)


class Numbers:
    """Numbers names, with the smallest numbers that are free."""

    def __init__(self) -> None:
        self._numbers: dict[Name, int] = {}
        self._names: list[Name | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> Name:
        name = self._names[number]
        if name is None:
            raise KeyError(number)
        return name

    @property
    def room(self) -> int:
        """All numbers are below it."""
        return len(self._names)

    def get(self, name: Name) -> int | None:
        """The number of a name that has one."""
        return self._numbers.get(name)

    def of(self, name: Name) -> int:
        """The number of a name; a new one if it has none."""
        number = self._numbers.get(name)
        if number is None:
            # Plain strings: those of an enumeration are of another type for whoever writes JSON.
            name = tuple(str(part) for part in name)
            number = self._free.pop() if self._free else len(self._names)
            self._names[number : number + 1] = [name]
            self._numbers[name] = number
        return number

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget all others; their numbers are free again."""
        kept = set(numbers)
        self._names = [name if number in kept else None for number, name in enumerate(self._names)]
        self._numbers = {name: number for number, name in enumerate(self._names) if name is not None}
        self._free = [number for number, name in enumerate(self._names) if name is None][::-1]
