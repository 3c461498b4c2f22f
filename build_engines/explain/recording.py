"""What goes into a network's modules and what comes out of them, while it runs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a module."""

    module: nn.Module
    entering: Tensor
    leaving: Tensor


@contextmanager
def recorded(modules: Iterable[nn.Module], *, keep: bool = False) -> Iterator[list[Call]]:
    """The runs of these modules inside the block, in the order in which they end; those of tensors only.

    With ``keep``, copies: a module that works in place changes what another one gave.
    """
    calls: list[Call] = []
    running: list[Tensor | None] = []

    def begin(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        entering = next((item for item in (*arguments, *named.values()) if isinstance(item, Tensor)), None)
        changed = keep or getattr(module, "inplace", False)
        running.append(entering.clone() if changed and entering is not None else entering)

    def end(module: nn.Module, _: tuple[Any, ...], answer: Any) -> None:
        entering = running.pop()
        leaving = answer[0] if isinstance(answer, tuple) and answer else answer
        if entering is not None and isinstance(leaving, Tensor):
            calls.append(Call(module, entering, leaving.clone() if keep else leaving))

    with ExitStack() as undo:
        for module in dict.fromkeys(modules):
            undo.callback(module.register_forward_pre_hook(begin, with_kwargs=True).remove)
            undo.callback(module.register_forward_hook(end).remove)
        yield calls


@contextmanager
def replaced(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """What this module gives is changed inside the block."""

    def swap(_: nn.Module, __: Any, answer: Any) -> Any:
        return (change(answer[0]), *answer[1:]) if isinstance(answer, tuple) else change(answer)

    handle = module.register_forward_hook(swap)
    try:
        yield
    finally:
        handle.remove()
