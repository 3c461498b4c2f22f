"""How a build tells a person, or a program, what happens."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.status import Status

if TYPE_CHECKING:
    # For their types only: the module brings torch, which takes seconds.
    from build_engines.artifact import Artifact, StepFailed


class Report(Protocol):
    """Hears of everything, and is the pipeline's observer too."""

    def begins(self, model: str) -> None:
        """A model's build begins."""

    def started(self, step: str) -> None:
        """A step begins."""

    def advanced(self, phase: str, done: int, of: int) -> None:
        """The running step is so far."""

    def finished(self, step: str, seconds: float) -> None:
        """A step has ended well."""

    def built(self, artifact: "Artifact") -> None:
        """The version is written."""

    def failed(self, model: str, failure: "StepFailed") -> None:
        """A step could not go on."""

    def interrupted(self, model: str) -> None:
        """The build was stopped from outside."""

    def present(self, model: str) -> None:
        """A default model is there already."""

    def refused(self, reason: str) -> None:
        """The command itself makes no sense."""


class ConsoleReport:
    """Lines for a person on stderr; the running step shows its seconds, so that nothing is silent."""

    def __init__(self) -> None:
        self._console = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._start = 0.0

    def begins(self, model: str) -> None:
        """Print the model's name."""
        self._start = time.perf_counter()
        self._console.print(f"[bold]{model}[/]")

    def started(self, step: str) -> None:
        """Turn a spinner, which shows on a terminal only."""
        self._status = self._console.status(f"  {step} …")
        self._status.start()

    def advanced(self, phase: str, done: int, of: int) -> None:
        """Write beside the spinner how far the step is."""
        if self._status is not None:
            self._status.update(f"  {escape(phase)}: {done} of {of}")

    def finished(self, step: str, seconds: float) -> None:
        """Tick the step off."""
        self._stop()
        self._console.print(f"  [green]✓[/] {step:<9} {seconds:6.1f} s")

    def built(self, artifact: "Artifact") -> None:
        """Print where the version is, what it offers, and every warning."""
        for warning in artifact.warnings:
            self._console.print(f"  [yellow]![/] {escape(warning)}")
        if artifact.origin is not None and not artifact.origin.trained:
            self._console.print("  [yellow]![/] random weights: the answers mean nothing")
        sizes = ", ".join(map(str, artifact.batch_sizes or ()))
        seconds = time.perf_counter() - self._start
        self._console.print(f"  → {artifact.path} in {seconds:.1f} s, certified for batch sizes {sizes}", markup=False)

    def failed(self, model: str, failure: "StepFailed") -> None:
        """Print the step, the reason, and what to do."""
        self._stop()
        self._console.print(f"  ✗ {model}: step {failure.step} failed", style="red", markup=False)
        self._console.print(f"    {failure.reason}", markup=False)
        self._console.print(f"    What to do: {failure.remedy}", markup=False)

    def interrupted(self, model: str) -> None:
        """Give the cursor back, and say that nothing is left."""
        self._stop()
        self._console.print(f"  ✗ {model}: interrupted; no version was written", style="red", markup=False)

    def present(self, model: str) -> None:
        """Print that nothing is to do."""
        self._console.print(f"{model} is there already")

    def refused(self, reason: str) -> None:
        """Print why."""
        self._console.print(reason, style="red", markup=False)

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class JsonReport:
    """One JSON object a line on stdout, for programs."""

    def __init__(self) -> None:
        self._model = ""
        self._start = 0.0
        self._told = (0, 0)

    def begins(self, model: str) -> None:
        """``begins``: a model."""
        self._model, self._start = model, time.perf_counter()
        print_json({"event": "begins", "model": model})

    def started(self, step: str) -> None:
        """``started``: a step."""
        print_json({"event": "started", "model": self._model, "step": step})

    def advanced(self, phase: str, done: int, of: int) -> None:
        """``progress``: whole parts of a long step; it has many smaller ones."""
        if (done, of) != self._told:
            print_json({"event": "progress", "model": self._model, "phase": phase, "done": done, "steps": of})
            self._told = (done, of)

    def finished(self, step: str, seconds: float) -> None:
        """``finished``: a step and its seconds."""
        print_json({"event": "finished", "model": self._model, "step": step, "seconds": round(seconds, 3)})

    def built(self, artifact: "Artifact") -> None:
        """``built``: where the version is, what it offers, and what is known of it."""
        checks = artifact.certificate.checks if artifact.certificate else ()
        offered = [check.max_relative_error for check in checks if check.passed]
        print_json(
            {
                "event": "built",
                "model": self._model,
                "version": artifact.version,
                "path": str(artifact.path),
                "batch_sizes": artifact.batch_sizes,
                "exporter": artifact.exporter,
                "max_relative_error": max(offered, default=None),
                "figures": artifact.figures.model_dump() if artifact.figures else None,
                "plans": [plan.model_dump(mode="json") | {"bytes": len(content)} for plan, content in artifact.plans],
                "plan_problem": artifact.plan_problem,
                "notes": artifact.notes,
                "warnings": artifact.warnings,
                "seconds": round(time.perf_counter() - self._start, 3),
            }
        )

    def failed(self, model: str, failure: "StepFailed") -> None:
        """``failed``: step, reason, remedy."""
        print_json(
            {
                "event": "failed",
                "model": model,
                "step": failure.step,
                "reason": failure.reason,
                "remedy": failure.remedy,
            }
        )

    def interrupted(self, model: str) -> None:
        """``interrupted``: the model that was not finished."""
        print_json({"event": "interrupted", "model": model})

    def present(self, model: str) -> None:
        """``present``: a default model that is there already."""
        print_json({"event": "present", "model": model})

    def refused(self, reason: str) -> None:
        """``refused``: why the command makes no sense."""
        print_json({"event": "refused", "reason": reason})


def print_json(value: dict[str, Any]) -> None:
    """Print one line, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
