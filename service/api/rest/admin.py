"""What changes: versions loaded and unloaded, aliases, shares, defaults. Every route needs the right to do so."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.task import Task
from contract.validation import first_problem
from service.api.rest.admin_document import (
    DELETE_ALIAS,
    LOAD,
    PUT_ALIAS,
    PUT_DEFAULT,
    PUT_TRAFFIC,
    UNLOAD,
)
from service.api.rest.body import BodyLimits, receive
from service.api.rest.document import ADMIN
from service.api.rest.guarded import Work, guarded
from service.api.rest.models import ModelRoutes
from service.api.rest.predict import request_id_of
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.registry.lifecycle import Lifecycle
from service.registry.registry import Registry
from service.registry.routing import STABLE, parse_selector
from service.registry.routing_control import RoutingControl
from service.registry.traffic import RESERVED, ModelTraffic, Routing
from service.registry.version import VersionState
from service.security import AdminAccess, audit
from service.security.caller import caller_of

_LARGEST_BODY = 1 << 16
_NUMBER = re.compile("[1-9][0-9]{0,8}")
T = TypeVar("T", bound=BaseModel)


class _Alias(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int


class _Default(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str


@dataclass(frozen=True, slots=True)
class AdminRoutes:
    """What the changing routes need."""

    registry: Registry
    lifecycle: Lifecycle
    control: RoutingControl
    models: ModelRoutes
    access: AdminAccess
    limits: BodyLimits

    def router(self) -> APIRouter:
        """The changing routes."""
        router = APIRouter(prefix="/v1", tags=[ADMIN])
        version, alias = "/models/{name}/versions/{number}", "/models/{name}/aliases/{alias}"
        for path, method, work, summary, described in (
            (f"{version}:load", "POST", self._load, "Load a version, and wait until it is ready", LOAD),
            (f"{version}:unload", "POST", self._unload, "Unload a version, once its last request has ended", UNLOAD),
            (alias, "PUT", self._put_alias, "Let an alias stand for a version", PUT_ALIAS),
            (alias, "DELETE", self._delete_alias, "Take an alias away", DELETE_ALIAS),
            ("/models/{name}/traffic", "PUT", self._put_traffic, "Divide traffic among aliases", PUT_TRAFFIC),
            ("/tasks/{task}/default", "PUT", self._put_default, "Choose what answers a task", PUT_DEFAULT),
        ):
            router.add_api_route(
                path,
                guarded(self._audited(work, summary)),
                methods=[method],
                summary=summary,
                name=summary,
                response_model=None,
                **described,
            )
        return router

    def _audited(self, work: Work, action: str) -> Work:
        """The work, for those who may have it done; each try leaves a line behind, whatever became of it."""

        async def route(request: Request) -> Response:
            who, outcome = caller_of(request.scope).id or "unknown", ErrorKind.INTERNAL.value
            try:
                who = self.access.require(request.headers, _peer(request), caller_of(request.scope))
                response = await work(request)
                outcome = "done"
            except ServiceError as error:
                outcome = error.kind.value
                raise
            except (ClientDisconnect, asyncio.CancelledError):
                # What had begun may have been done.
                outcome = ErrorKind.CANCELLED.value
                raise
            finally:
                audit.note(
                    who=who,
                    peer=_peer(request),
                    action=action,
                    target=request.scope["path"],
                    outcome=outcome,
                    request_id=request_id_of(request),
                )
            return response

        return route

    async def _load(self, request: Request) -> Response:
        version = await self.lifecycle.load(*_version_of(request))
        return self.models.version_response(version)

    async def _unload(self, request: Request) -> Response:
        version = await self.lifecycle.unload(*_version_of(request))
        return self.models.version_response(version)

    async def _put_alias(self, request: Request) -> Response:
        model, alias = request.path_params["name"], request.path_params["alias"]
        wanted = _read(_Alias, _with_number(await self._json(request), "version"))
        self._require_usable(model, wanted.version)

        def change(routing: Routing) -> Routing:
            traffic = routing.models.get(model, ModelTraffic())
            aliases = {**traffic.aliases, alias: wanted.version}
            return routing.with_model(model, traffic.model_copy(update={"aliases": aliases}))

        await self.control.change(change)
        return self.models.traffic_response(model)

    async def _delete_alias(self, request: Request) -> Response:
        model, alias = request.path_params["name"], request.path_params["alias"]
        if alias not in self.registry.traffic(model).aliases:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"{model} has no alias {alias!r} that could be taken away")

        def change(routing: Routing) -> Routing:
            traffic = routing.models.get(model, ModelTraffic())
            if alias != STABLE and traffic.weights.get(alias):
                raise ValueError(f"{alias} has a share of the traffic; give that to another alias first")
            aliases = {name: version for name, version in traffic.aliases.items() if name != alias}
            weights = {name: weight for name, weight in traffic.weights.items() if name in (*aliases, STABLE)}
            return routing.with_model(model, traffic.model_copy(update={"aliases": aliases, "weights": weights}))

        await self.control.change(change)
        return self.models.traffic_response(model)

    async def _put_traffic(self, request: Request) -> Response:
        model = request.path_params["name"]
        given = _with_number(await self._json(request), "shadow")
        if not isinstance(given, dict):
            raise invalid_parameters('send an object, e.g. {"stable": 90, "canary": 10}')
        beside = {key: value for key, value in given.items() if key in RESERVED}
        weights = {key: value for key, value in given.items() if key not in RESERVED}

        def change(routing: Routing) -> Routing:
            before = routing.models.get(model, ModelTraffic())
            kept = {"aliases": before.aliases, "pinned": before.pinned}
            return routing.with_model(model, _traffic_of({**kept, **beside, "weights": weights}))

        wanted = _checked(change, self.registry.routing).models[model]
        for number in {*(wanted.aliases[alias] for alias in weights if alias in wanted.aliases), wanted.shadow} - {
            None
        }:
            self._require_usable(model, number)
        await self.control.change(change)
        return self.models.traffic_response(model)

    async def _put_default(self, request: Request) -> Response:
        wanted = _read(_Default, await self._json(request)).model
        try:
            task = Task(request.path_params["task"])
        except ValueError:
            known = ", ".join(Task)
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no such task; there are {known}") from None
        selector = parse_selector(wanted)
        if selector.version is not None:
            raise invalid_parameters("a default is name or name@alias; give the version an alias first")
        if selector.name not in self.registry.models():
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no model {selector.name!r}; see /v1/models")
        await self.control.change(lambda routing: routing.model_copy(update={"tasks": {**routing.tasks, task: wanted}}))
        return Response(orjson.dumps({"task": task, "model": wanted}), media_type="application/json")

    def _require_usable(self, model: str, number: int | None) -> None:
        """Only a version that would answer may get callers."""
        version = self.registry.version(model, number) if number is not None else None
        if version is None:
            raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"there is no {model}:{number}; see /v1/models")
        if version.loaded is None and version.condition is not VersionState.EVICTED:
            why = f": {version.reason}" if version.reason else ""
            raise ServiceError(ErrorKind.VERSION_NOT_READY, f"{model}:{number} is {version.condition}{why}")

    async def _json(self, request: Request) -> Any:
        body = await receive(request, self.limits)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise invalid_parameters(f"the body is not JSON: {error}") from None


def limits_of(limits: BodyLimits) -> BodyLimits:
    """The service's limits for bodies of a few words."""
    return BodyLimits(_LARGEST_BODY, limits.max_images, limits.timeout_s, limits.stall_s)


def _peer(request: Request) -> str | None:
    return request.client.host if request.client else None


def _version_of(request: Request) -> tuple[str, int]:
    number = request.path_params["number"]
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise ServiceError(ErrorKind.MODEL_NOT_FOUND, f"a version is a number, not {number[:64]!r}")
    return request.path_params["name"], int(number)


def _with_number(given: Any, name: str) -> Any:
    """What was given, a version in it as a number: it may be sent as the string that every answer has."""
    version = given.get(name) if isinstance(given, dict) else None
    return {**given, name: int(version)} if isinstance(version, str) and _NUMBER.fullmatch(version) else given


def _traffic_of(given: dict[str, Any]) -> ModelTraffic:
    """Strictly: `true` is no share, and `"yes"` no switch."""
    return ModelTraffic.model_validate(given, strict=True)


def _read(kind: type[T], given: Any) -> T:
    try:
        return kind.model_validate(given, strict=True)
    except ValidationError as error:
        raise invalid_parameters(first_problem(error)) from error


def _checked(change: Callable[[Routing], Routing], routing: Routing) -> Routing:
    try:
        return change(routing)
    except ValidationError as error:
        raise invalid_parameters(first_problem(error)) from error
