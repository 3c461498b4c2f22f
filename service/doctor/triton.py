"""Each Triton that the settings name: whether it answers, and whether it is as this service needs it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address

from tritonclient.grpc import InferenceServerClient  # type: ignore[import-untyped]
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import readable_cards
from service.engines.triton.addresses import addresses, is_name, look_up
from service.settings import Settings

_PATIENCE_S = 3.0
_AT_A_TIME = 16
_NO_MODEL = "vitrail doctor: no such model"
"""What no folder of a repository can be called: Triton is asked to unload it, and has nothing to unload."""
_NOT_EXPLICIT = "load / unload is not allowed"
_SHARED_MEMORY = "system_shared_memory"
_NOT_USED = "not used (--engine triton)"


@dataclass(frozen=True, slots=True)
class TritonFacts:
    """One Triton."""

    address: str
    failure: str = ""
    """Why it does not answer; the rest says nothing then."""
    version: str = ""
    extensions: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    """The names that it sees in its repository."""
    explicit: bool = True
    """It loads what it is told, and nothing else."""


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """All of them."""

    wanted: bool
    """Triton is the engine."""
    url: str = ""
    failure: str = ""
    """Why the addresses are not known."""
    tritons: tuple[TritonFacts, ...] = ()
    models: frozenset[str] = field(default_factory=frozenset)
    """The names in this service's repository."""
    shared_memory: bool = False
    fallback: bool = False
    """Models run in this process where no Triton answers."""
    by_name: bool = False
    """The addresses are those of a name, and may change."""

    @property
    def reached(self) -> tuple[TritonFacts, ...]:
        """Those that answer."""
        return tuple(triton for triton in self.tritons if not triton.failure)


def read(settings: Settings, patience_s: float = _PATIENCE_S) -> FleetFacts:
    """Look the addresses up, and ask each what it is and what it sees."""
    if settings.engine != "triton":
        return FleetFacts(wanted=False)
    urls = [url.strip() for url in settings.triton_url.split(",") if url.strip()]
    try:
        found = asyncio.run(addresses(urls, look_up))
    except (OSError, ValueError) as error:
        return FleetFacts(True, settings.triton_url, failure=" ".join(str(error).split()))
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        tritons = tuple(threads.map(lambda address: _ask(address, patience_s), found))
    return FleetFacts(
        True,
        settings.triton_url,
        tritons=tritons,
        models=frozenset(card.name for card in readable_cards(settings.repository)),
        shared_memory=settings.triton_shared_memory,
        fallback=settings.fallback != "none",
        by_name=any(is_name(url) for url in urls),
    )


def _ask(address: str, patience_s: float) -> TritonFacts:
    """The service's own channels go round the environment's proxies, and so does this one."""
    client = InferenceServerClient(address, channel_args=[("grpc.enable_http_proxy", 0)])
    try:
        about = client.get_server_metadata(client_timeout=patience_s)
        index = client.get_model_repository_index(client_timeout=patience_s)
        return TritonFacts(
            address,
            version=about.version,
            extensions=frozenset(name.partition("(")[0] for name in about.extensions),
            models=frozenset(entry.name for entry in index.models),
            explicit=_is_explicit(client, patience_s),
        )
    except InferenceServerException as error:
        return TritonFacts(address, failure=" ".join(str(error.message()).split()))
    finally:
        client.close()


def _is_explicit(client: InferenceServerClient, patience_s: float) -> bool:
    """Nothing tells but a call that the other modes refuse; this one would unload what cannot be there."""
    try:
        client.unload_model(_NO_MODEL, client_timeout=patience_s)
    except InferenceServerException as error:
        return _NOT_EXPLICIT not in str(error.message())
    return True


def reachable(facts: FleetFacts) -> Iterator[Finding]:
    """Whether they answer."""
    if not facts.wanted:
        yield ok(_NOT_USED)
        return
    if facts.failure:
        yield problem(
            f"{facts.url} names no Triton: {facts.failure}", "put host:port or dns:///host:port into --triton-url"
        )
        return
    # What others can stand in for is bad enough to be told, and no more.
    tell = warning if facts.reached or facts.fallback else problem
    for triton in facts.tritons:
        if triton.failure:
            yield tell(
                f"{triton.address} does not answer: {triton.failure}",
                "start Triton there, or mend --triton-url: it is the port of gRPC, 8001 unless Triton was told another",
            )
    if facts.reached:
        yield ok(f"{len(facts.reached)} of {len(facts.tritons)} answer")


def control(facts: FleetFacts) -> Iterator[Finding]:
    """Whether they load what they are told, and nothing else."""
    wrong = [triton.address for triton in facts.reached if not triton.explicit]
    for address in wrong:
        yield problem(
            f"{address} decides by itself which models are loaded, and is refused",
            "start that Triton with --model-control-mode=explicit",
        )
    if not wrong:
        yield ok(_answer(facts, "every one loads what it is told"))


def versions(facts: FleetFacts) -> Iterator[Finding]:
    """Whether they are of one version."""
    found = sorted({triton.version for triton in facts.reached})
    if len(found) > 1:
        yield warning(
            f"the Tritons are of several versions: {', '.join(found)}", "run one version: a plan fits one TensorRT only"
        )
    else:
        yield ok(_answer(facts, f"Triton {''.join(found)}"))


def same_repository(facts: FleetFacts) -> Iterator[Finding]:
    """Whether they see the models that this service sees."""
    wrong = False
    for triton in facts.reached:
        if missing := sorted(facts.models - triton.models):
            wrong = True
            yield problem(
                f"{triton.address} does not see {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
                "give Triton the same folder as --repository: its --model-repository",
            )
    if not wrong:
        yield ok(_answer(facts, "every one sees the models of this repository"))


def memory(facts: FleetFacts) -> Iterator[Finding]:
    """Whether shared memory can be shared with them."""
    if not facts.shared_memory:
        yield ok("no shared memory is used (--triton-shared-memory)" if facts.wanted else _NOT_USED)
        return
    away = [triton.address for triton in facts.tritons if not _is_here(triton.address)]
    deaf = [triton.address for triton in facts.reached if _SHARED_MEMORY not in triton.extensions]
    if facts.by_name or away:
        yield warning(
            f"shared memory is on, and {', '.join(away) or facts.url} may be on another machine",
            "leave --triton-shared-memory out unless Triton sees the same /dev/shm",
        )
    for address in deaf:
        yield problem(f"{address} has no shared memory", "leave --triton-shared-memory out")
    if not (facts.by_name or away or deaf):
        yield ok(_answer(facts, "every one takes system shared memory"))


def _answer(facts: FleetFacts, found: str) -> str:
    if not facts.wanted:
        return _NOT_USED
    return found if facts.reached else "not known: none answers"


def _is_here(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


GROUP = group(
    "Triton",
    read,
    {
        "Triton": reachable,
        "model control": control,
        "Triton's version": versions,
        "Triton's repository": same_repository,
        "Triton's shared memory": memory,
    },
)
