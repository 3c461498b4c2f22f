"""``GET /v1/models…``: what is served, in which versions, and in what state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from contract.card import ModelCard
from service.api.rest.predict import request_id_of
from service.api.rest.problems import problem
from service.errors import ErrorKind, ServiceError
from service.registry.registry import Registry, Version
from service.registry.routing import STABLE


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """What the routes of the models need."""

    registry: Registry
    routing_problem: Callable[[], str | None]
    """Why the routing file is not followed as it is; None if it is."""

    def router(self) -> APIRouter:
        """The reading routes."""
        router = APIRouter(prefix="/v1/models", tags=["models"])
        router.add_api_route("", self._list, methods=["GET"], summary="List models", response_model=None)
        router.add_api_route("/{name}", self._model, methods=["GET"], summary="Describe a model", response_model=None)
        router.add_api_route(
            "/{name}/traffic", self._traffic, methods=["GET"], summary="How traffic is divided", response_model=None
        )
        router.add_api_route(
            "/{name}/versions/{number}",
            self._version,
            methods=["GET"],
            summary="A version's card, state and certificate",
            response_model=None,
        )
        return router

    async def _list(self) -> Response:
        models = self.registry.models()
        described = [self._describe(name, versions) for name, versions in models.items()]
        return _json({"models": described, "routing": {"problem": self.routing_problem()}})

    async def _model(self, name: str, request: Request) -> Response:
        versions = self.registry.models().get(name)
        if versions is None:
            return _not_found(f"there is no model {name!r}; see /v1/models", request)
        return _json(self._describe(name, versions))

    async def _traffic(self, name: str, request: Request) -> Response:
        if name not in self.registry.models():
            return _not_found(f"there is no model {name!r}; see /v1/models", request)
        traffic = self.registry.traffic(name)
        weights = traffic.weights or {STABLE: 100.0}
        return _json({"model": name, "aliases": self._aliases(name), "weights": weights, "sticky": traffic.sticky})

    async def _version(self, name: str, number: str, request: Request) -> Response:
        found = [v for v in self.registry.models().get(name, []) if str(v.number) == number]
        if not found:
            return _not_found(f"there is no version {number} of a model {name!r}; see /v1/models", request)
        version = found[0]
        card = version.card.model_dump(mode="json") if version.card else None
        return _json({"model": name, **_state(version), "card": card})

    def _describe(self, name: str, versions: list[Version]) -> dict[str, Any]:
        stable = self.registry.aliased(name)
        card = stable.card if stable else next((v.card for v in reversed(versions) if v.card), None)
        return {
            "name": name,
            **(self._of_card(card) if card else {}),
            "versions": [_state(version) for version in versions],
            "aliases": self._aliases(name),
        }

    def _aliases(self, name: str) -> dict[str, str]:
        """Versions by alias; ``stable`` too, which unless set is the newest that is ready."""
        stable = self.registry.aliased(name)
        newest = {STABLE: str(stable.card.version)} if stable else {}
        return newest | {alias: str(version) for alias, version in self.registry.traffic(name).aliases.items()}

    def _of_card(self, card: ModelCard) -> dict[str, Any]:
        return {
            "task": card.task,
            "description": card.description,
            "default": (self.registry.default(card.task) or "").partition("@")[0] == card.name,
            "trained": card.provenance.trained,
            "supervision": card.provenance.supervision,
            "notes": card.provenance.notes,
            "licence": card.provenance.licence,
            "source": card.provenance.source,
            "labels": len(card.labels),
            "input": {"height": card.preprocess.height, "width": card.preprocess.width},
            "parameters": card.figures.parameters,
            "gmacs": card.figures.gmacs,
        }


def _state(version: Version) -> dict[str, Any]:
    certificate = None
    if version.card:
        proof = version.card.certificate
        errors = [check.max_relative_error for check in proof.checks if check.passed]
        certificate = {
            "passed": proof.passed,
            "max_relative_error": max(errors, default=None),
            "batch_sizes": version.card.batch_sizes,
            "reference": proof.reference,
            "engine": proof.engine,
            "verified_at": proof.verified_at,
        }
    return {
        "version": str(version.number),
        "state": version.state,
        "reason": version.reason,
        "precision": version.card.precision if version.card else None,
        "certificate": certificate,
    }


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _not_found(message: str, request: Request) -> Response:
    return problem(ServiceError(ErrorKind.MODEL_NOT_FOUND, message), request_id_of(request))
