"""Whether the repository is whole, and says of itself what is true."""

from collections.abc import Iterator

from contract.triton import TritonConfig, from_config, unbroken_batch_size
from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import RepositoryFacts, read

_BUILD = "build it again: vitrail-build build"
_COPY = "copy the version again, whole; or remove its folder and build it again"


def folder(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether there is a repository with models in it."""
    if facts.absent:
        yield problem(
            f"the repository {facts.root.absolute()} is no folder, or is not there",
            f"name the folder with --repository; or make one: vitrail-build build --default --repository {facts.root}",
        )
    elif facts.denied:
        yield problem(
            f"the repository {facts.root} cannot be read: {facts.denied}",
            f"name the folder with --repository, and let this user read all of it: chmod -R a+rX {facts.root}",
        )
    elif not facts.versions:
        yield problem(
            f"the repository {facts.root} holds no model",
            "vitrail-build build makes one; or --repository names another",
        )
    else:
        models = {version.name.partition(":")[0] for version in facts.versions}
        yield ok(f"{_counted(len(models), 'model')}, {_counted(len(facts.versions), 'version')}")
    for name in facts.incomplete:
        yield warning(f"{name} is no complete version, and is passed over", _COPY)


def cards(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether every card can be read."""
    broken = [version for version in facts.versions if version.card is None]
    for version in broken:
        yield problem(version.unreadable_card, _BUILD)
    if not broken:
        yield _well(facts, "every card can be read")


def files(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether each version's files are there, and may be read."""
    wrong = [version for version in facts.versions if version.missing or version.denied]
    for version in wrong:
        if version.missing:
            yield problem(f"{version.name} lacks {', '.join(version.missing)}", _COPY)
        if version.denied:
            yield problem(
                f"{version.name}: this user may not read {', '.join(version.denied)}",
                f"chmod -R a+rX {facts.root}",
            )
    if not wrong:
        yield _well(facts, "every file that a version needs is there, and may be read")


def certificates(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether each version was proved."""
    failed = [card for card in facts.cards if not card.certificate.passed]
    for card in failed:
        yield problem(f"{card.name}:{card.version} did not pass its certificate, and will take no traffic", _BUILD)
    if not failed:
        yield _well(facts, "every version has passed its certificate")


def goldens(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether the outputs are there that each version must give again."""
    wrong = [version for version in facts.versions if version.golden]
    for version in wrong:
        yield problem(f"{version.name}: {version.golden}; it will take no traffic", _COPY)
    if not wrong:
        yield _well(facts, "every version has golden images and outputs that fit its card")


def configurations(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether Triton, if it is started without this service, would be told what the cards say."""
    told = [finding for name, text in (facts.configs or {}).items() if (finding := _configuration(facts, name, text))]
    yield from told or [_well(facts, "every config.pbtxt agrees with its card")]


def _configuration(facts: RepositoryFacts, name: str, text: str | None) -> Finding | None:
    cards = [card for card in facts.cards if card.name == name]
    change = "vitrail-build writes it with the next version; for a Triton that this service loads it does not matter"
    if text is None:
        return warning(f"{name} has no readable config.pbtxt", change)
    try:
        found = from_config(text)
    except ValueError:
        return warning(f"{name}/config.pbtxt was not written by the builder, and is not compared", change)
    for card in cards:
        wanted = TritonConfig.of(card)
        if (found.name, found.platform, found.input, found.outputs) != (
            wanted.name,
            wanted.platform,
            wanted.input,
            wanted.outputs,
        ):
            return warning(f"{name}/config.pbtxt differs from the card of version {card.version}", change)
        if found.max_batch_size > unbroken_batch_size(card):
            return warning(
                f"{name}/config.pbtxt allows batches of {found.max_batch_size}; version {card.version} is certified to "
                f"{unbroken_batch_size(card)}",
                change,
            )
    return None


def left_overs(facts: RepositoryFacts) -> Iterator[Finding]:
    """What a builder, or a service, left that was killed as it wrote."""
    for name in facts.left_over:
        yield warning(
            f"{name} is left of a write that never ended", f"if nobody builds now, remove {facts.root / name}"
        )
    if not facts.left_over:
        yield ok("no write was left unfinished")


def routing(facts: RepositoryFacts) -> Iterator[Finding]:
    """Whether routing.yaml, and --default-models, name what is there."""
    if facts.routing_problem:
        yield problem(facts.routing_problem, "mend routing.yaml; until then a service that starts follows no routing")
        return
    unknown = list(_unknown(facts))
    for name, by in unknown:
        yield warning(f"{by} names {name}, which the repository does not have", f"build it, or change {by}")
    if not unknown:
        has = facts.routing is not None and (facts.routing.models or facts.routing.tasks)
        yield ok("what routing.yaml names is there" if has else "there is no routing: the newest version answers")


def _unknown(facts: RepositoryFacts) -> Iterator[tuple[str, str]]:
    """What is named and not there, and who names it."""
    there = {(card.name, card.version): card.task for card in facts.cards}
    names = {name for name, _ in there}
    tasks = {(card.name, card.task) for card in facts.cards}
    if facts.routing is not None:
        for name, traffic in facts.routing.models.items():
            numbers = {*traffic.aliases.values(), *([traffic.shadow] if traffic.shadow else [])}
            if name not in names:
                yield name, "routing.yaml"
            yield from (
                (f"{name}:{number}", "routing.yaml")
                for number in sorted(numbers)
                if name in names and (name, number) not in there
            )
        for task, selector in facts.routing.tasks.items():
            if (selector.partition("@")[0], task) not in tasks:
                yield f"{selector} for {task}", "routing.yaml"
    for task, name in (facts.defaults or {}).items():
        if (name.partition("@")[0], task) not in tasks:
            yield f"{name} for {task}", "--default-models"


def _well(facts: RepositoryFacts, found: str) -> Finding:
    return ok(found if facts.versions else "there is nothing to look at")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


GROUP = group(
    "Repository",
    read,
    {
        "repository": folder,
        "cards": cards,
        "files": files,
        "certificates": certificates,
        "golden outputs": goldens,
        "Triton's configurations": configurations,
        "unfinished writes": left_overs,
        "routing": routing,
    },
)
