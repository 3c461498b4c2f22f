"""TensorRT plans, against the GPU, the driver and the TensorRT that are here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions

from contract.card import ModelCard, Plan, Platform
from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.gpu import Gpus, read_gpus
from service.doctor.repository import readable_cards
from service.settings import Settings

_PACKAGES = {
    "tensorrt": re.compile(r"tensorrt([-_]cu\d+)?([-_](libs|bindings))?", re.IGNORECASE),
    "tensorrt-rtx": re.compile(r"tensorrt[-_]rtx([-_]cu\d+)?([-_](libs|bindings))?", re.IGNORECASE),
}
_RTX_FROM = (8, 0)
"""The compute capability from which on TensorRT-RTX runs."""
_AGAIN = "build the plan again on this machine: vitrail-build compile"


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """The machine, and what the cards record."""

    engine: str
    cards: tuple[ModelCard, ...]
    gpus: Gpus
    libraries: dict[str, str]
    """The version of the TensorRT that is installed here, by the name that plans have for it."""
    absent: frozenset[str] = frozenset()
    """``model:version/file`` of plans that the cards record and that are not there."""


def read(settings: Settings) -> PlanFacts:
    """Read the cards, ask for GPUs, and look which TensorRT is installed."""
    cards = tuple(readable_cards(settings.repository))
    paths = {
        _place(card, plan): settings.repository / _folder(card) / plan.file for card in cards for plan in card.plans
    }
    absent = frozenset(place for place, path in paths.items() if not path.is_file())
    return PlanFacts(settings.engine, cards, read_gpus(), _libraries(), absent)


def _place(card: ModelCard, plan: Plan) -> str:
    return f"{card.name}:{card.version}/{plan.file}"


def _folder(card: ModelCard) -> str:
    return f"{card.name}/{card.version}"


def gpu(facts: PlanFacts) -> Iterator[Finding]:
    """The GPUs and their driver."""
    if facts.gpus.found:
        names = ", ".join(f"{one.name} ({one.compute_capability})" for one in facts.gpus.found)
        yield ok(f"{names}; driver {facts.gpus.driver}, for CUDA up to {facts.gpus.cuda or 'a version unknown'}")
    else:
        yield ok(f"none: {facts.gpus.reason}")


def runnable(facts: PlanFacts) -> Iterator[Finding]:
    """Whether the engine that was chosen runs what the versions are."""
    compiled = [card for card in facts.cards if card.platform is Platform.TENSORRT]
    for card in compiled if facts.engine == "embedded" else []:
        yield problem(
            f"{card.name}:{card.version} is a TensorRT plan, which the embedded engine does not run",
            "serve it with --engine triton, or build the version as ONNX",
        )
    if not compiled or facts.engine != "embedded":
        yield ok("the engine runs every version's platform")


def plans(facts: PlanFacts) -> Iterator[Finding]:
    """Every plan, against what is here."""
    recorded = [(card, plan) for card in facts.cards for plan in card.plans]
    told = [
        (problem if card.platform is Platform.TENSORRT else warning)(f"{card.name}:{card.version}: {found}", change)
        for card, plan in recorded
        for found, change in (
            [(f"{plan.file} is not there", _AGAIN)] if _place(card, plan) in facts.absent else _mismatches(plan, facts)
        )
    ]
    uncertified = sum(not plan.certified for _, plan in recorded)
    if told:
        yield from told
    elif not recorded:
        yield ok("no version has a TensorRT plan")
    elif not facts.gpus.found:
        yield ok(f"{len(recorded)} plans; whether they fit is known only where the GPU is: run doctor there")
    else:
        yield ok(f"{len(recorded)} plans fit what is here" + (f"; {uncertified} were never run" if uncertified else ""))


def _mismatches(plan: Plan, facts: PlanFacts) -> Iterator[tuple[str, str]]:
    """What of a plan does not fit, and what to do."""
    library = facts.libraries.get(plan.engine)
    if library is not None and _numbers(library)[:3] != _numbers(plan.tensorrt_version)[:3]:
        yield (
            f"{plan.file} was built by {plan.engine} {plan.tensorrt_version}, and {library} is here",
            f"install {plan.engine} {plan.tensorrt_version}; or {_AGAIN}",
        )
    if not facts.gpus.found:
        return
    if plan.driver and facts.gpus.cuda and _numbers(plan.driver) > _numbers(facts.gpus.cuda):
        yield (
            f"{plan.file} was built under a driver for CUDA {plan.driver}; the one here serves up to {facts.gpus.cuda}",
            f"update NVIDIA's driver; or {_AGAIN}",
        )
    capabilities = {one.compute_capability for one in facts.gpus.found}
    if plan.engine == "tensorrt-rtx":
        if old := sorted(one for one in capabilities if _numbers(one) < _RTX_FROM):
            yield f"{plan.file} needs compute capability 8.0, and a GPU here has {old[0]}", "serve the ONNX file there"
    elif plan.compute_capability and plan.compute_capability not in capabilities:
        yield (
            f"{plan.file} was built on {plan.gpu} ({plan.compute_capability}); here is "
            + ", ".join(f"{one.name} ({one.compute_capability})" for one in facts.gpus.found),
            f"{_AGAIN}; one that was built with --hardware-compatible may run",
        )
    elif plan.gpu and plan.gpu not in {one.name for one in facts.gpus.found}:
        yield (
            f"{plan.file} was built on {plan.gpu}; {facts.gpus.found[0].name} is of its kind, and another",
            f"{_AGAIN}; TensorRT warns of such plans, and they may be slower",
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _libraries() -> dict[str, str]:
    installed = {distribution.name: distribution.version for distribution in distributions() if distribution.name}
    return {
        engine: version
        for engine, pattern in _PACKAGES.items()
        for name, version in installed.items()
        if pattern.fullmatch(name)
    }


GROUP = group("GPU and plans", read, {"GPU": gpu, "platforms": runnable, "plans": plans})
