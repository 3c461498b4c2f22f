"""What the service says of itself and of its models in the Open Inference Protocol, over any transport."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from contract.card import ModelCard
from service.errors import ErrorKind, ServiceError
from service.registry.registry import NotResident, Registry
from service.registry.routing import STABLE, Selector, parse_selector
from service.registry.version import Version, VersionState

SERVER = "vitrail"


def release() -> str:
    """The version of the service."""
    try:
        return version("vitrail")
    except PackageNotFoundError:
        # It runs from its source folder.
        return "0"


def selector_of(name: str, number: str | None) -> Selector:
    """What a caller names, ``number`` being a version where there is one; a name that no model can have is not there.

    ServiceError (model_not_found) for such a name.
    """
    text = f"{name}:{number}" if number else name
    try:
        return parse_selector(text)
    except ServiceError as error:
        message = f"there is no model {text[:160]!r}; see /v1/models"
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, message) from error


def text_of(selector: Selector) -> str:
    """The same as a query has it: ``name``, ``name@alias`` or ``name:version``."""
    if selector.version is not None:
        return f"{selector.name}:{selector.version}"
    return f"{selector.name}@{selector.alias}" if selector.alias else selector.name


@dataclass(frozen=True, slots=True)
class ServedModels:
    """The registry, as the protocol asks for it."""

    registry: Registry

    def card(self, selector: Selector) -> ModelCard:
        """The card of the version named, else of the one that the alias, or ``stable``, stands for; ServiceError."""
        if selector.version is None:
            loaded = self.registry.aliased(selector.name, selector.alias or STABLE)
            if loaded is not None:
                return loaded.card
        try:
            return self.registry.resolve(None, text_of(selector)).version.card
        except NotResident as error:
            if error.version.card is None:
                raise
            return error.version.card

    def numbers(self, model: str) -> list[int]:
        """The versions of a model that answer, or are brought back for the next request."""
        return [version.number for version in self.registry.models()[model] if answers(version)]

    def ready(self, selector: Selector) -> bool:
        """Whether the next request would be taken; ServiceError if nothing of that name is there.

        A version that gave its memory to others is ready: it comes back for the request.
        """
        try:
            return self.registry.resolve(None, text_of(selector)).version.engine.healthy
        except NotResident:
            return True
        except ServiceError as error:
            if error.kind is not ErrorKind.VERSION_NOT_READY:
                raise
            return False


def answers(version: Version) -> bool:
    """Whether a version takes requests, in memory or not."""
    return version.condition in (VersionState.READY, VersionState.EVICTED)
