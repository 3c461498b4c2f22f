"""Who may say how traffic is divided: the file, people through the API, and the service itself where it rolls back."""

import asyncio
import logging
from collections.abc import Callable

from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.registry.registry import Registry
from service.registry.routing_file import NAME, RoutingFile
from service.registry.traffic import ModelTraffic, Routing

_log = logging.getLogger("vitrail.routing")

Change = Callable[[Routing], Routing]


class RoutingControl:
    """Keeps a registry's routing and ``routing.yaml`` in step."""

    def __init__(self, file: RoutingFile, registry: Registry) -> None:
        self._file = file
        self._registry = registry
        self._overruled: dict[str, tuple[ModelTraffic, ModelTraffic]] = {}
        """By model: the traffic in a file that could not be written, and what holds instead."""

    @property
    def problem(self) -> str | None:
        """Why the file as it is now is not followed; None if it is."""
        return self._file.problem

    def follow(self, routing: Routing | None) -> None:
        """Follow what the file says from now on; None: nothing new."""
        if routing is None:
            return
        if routing != self._registry.routing:
            _log.info("following %s: %d models are routed", NAME, len(routing.models))
        self._registry.route(self._with_overruled(routing))

    async def look(self) -> None:
        """Read the file again, and follow it if it has changed."""
        self.follow(await asyncio.to_thread(self._file.changed))

    async def change(self, change: Change) -> Routing:
        """Change the file and follow it; ServiceError if that cannot be, and then nothing has changed."""
        try:
            routing = await asyncio.to_thread(self._file.edit, change)
        except OSError as error:
            why = f"{NAME} cannot be written: {error.strerror}; change it where it comes from"
            raise ServiceError(ErrorKind.FORBIDDEN, why) from error
        except ValueError as error:
            raise invalid_parameters(str(error)) from error
        self._registry.route(routing)
        return routing

    async def overrule(self, model: str, expected: ModelTraffic, wanted: ModelTraffic) -> None:
        """Let a model's traffic be other than the file says, in the file too if that can be written.

        Where somebody has changed the model's traffic meanwhile, theirs holds. Where the file cannot be written, what
        is wanted holds here until the file says something else of this model.
        """

        def change(routing: Routing) -> Routing:
            now = routing.models.get(model)
            return routing.with_model(model, wanted) if now == expected else routing

        try:
            await self.change(change)
        except ServiceError as error:
            _log.error("%s; until it says something else of %s, this service alone goes by %s", error, model, wanted)
            self._overruled[model] = expected, wanted
            self._registry.route(self._with_overruled(self._registry.routing))

    def _with_overruled(self, routing: Routing) -> Routing:
        for model, (expected, wanted) in list(self._overruled.items()):
            if routing.models.get(model) == expected:
                routing = routing.with_model(model, wanted)
            elif routing.models.get(model) != wanted:
                del self._overruled[model]
        return routing
