"""``GET /v1/models…``: what is served, in which versions, and in what state."""

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
from service.registry.registry import Registry
from service.registry.routing import STABLE
from service.registry.routing_control import RoutingControl
from service.registry.version import Version
from service.rollout.comparison import Case, Comparison
from service.rollout.rollout import Pair, Rollout, figures_of


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """What the routes of the models need."""

    registry: Registry
    control: RoutingControl
    rollout: Rollout

    def router(self) -> APIRouter:
        """The reading routes."""
        router = APIRouter(prefix="/v1/models", tags=["models"])
        router.add_api_route("", self._list, methods=["GET"], summary="List models", response_model=None)
        router.add_api_route("/{name}", self._model, methods=["GET"], summary="Describe a model", response_model=None)
        router.add_api_route(
            "/{name}/traffic", self._traffic, methods=["GET"], summary="How traffic is divided", response_model=None
        )
        router.add_api_route(
            "/{name}/traffic/{reference}/{candidate}/images/{place}",
            self._image,
            methods=["GET"],
            summary="An image on which two versions disagreed, where images are kept",
            response_model=None,
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
        return _json({"models": described, "routing": {"problem": self.control.problem}})

    async def _model(self, name: str, request: Request) -> Response:
        versions = self.registry.models().get(name)
        if versions is None:
            return _not_found(f"there is no model {name!r}; see /v1/models", request)
        return _json(self._describe(name, versions))

    async def _traffic(self, name: str, request: Request) -> Response:
        if name not in self.registry.models():
            return _not_found(f"there is no model {name!r}; see /v1/models", request)
        return self.traffic_response(name)

    def traffic_response(self, name: str) -> Response:
        """How a model's traffic is divided, and what was seen of the versions on trial."""
        traffic = self.registry.traffic(name)
        stated = traffic.model_dump(mode="json", exclude={"aliases", "weights"})
        return _json(
            {
                "model": name,
                "aliases": self._aliases(name),
                "weights": traffic.weights or {STABLE: 100.0},
                **stated,
                "observed": {alias: figures_of(counts) for alias, counts in self.rollout.counts(name).items()},
                "comparisons": [_compared(*item) for item in self.rollout.comparisons(name).items()],
            }
        )

    async def _image(self, name: str, reference: str, candidate: str, place: str, request: Request) -> Response:
        """The encoded image of one of the worst cases, by its place in ``worst``."""
        for pair, comparison in self.rollout.comparisons(name).items():
            if (reference, candidate) == tuple(map(str, pair)) and place.isdecimal():
                cases = comparison.worst[int(place[:3]) :][:1]
                if cases and cases[0].image is not None:
                    return Response(cases[0].image, media_type="application/octet-stream")
        return _not_found("no such image is kept; --keep-disagreeing-images has it kept", request)

    async def _version(self, name: str, number: str, request: Request) -> Response:
        found = [v for v in self.registry.models().get(name, []) if str(v.number) == number]
        if not found:
            return _not_found(f"there is no version {number} of a model {name!r}; see /v1/models", request)
        return self.version_response(found[0])

    def version_response(self, version: Version) -> Response:
        """A version's state and card."""
        card = version.card.model_dump(mode="json") if version.card else None
        return _json({"model": version.model, **_state(version), "card": card})

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
        "memory_bytes": version.memory_bytes if version.loaded else None,
        "certificate": certificate,
    }


def _compared(pair: Pair, comparison: Comparison) -> dict[str, Any]:
    ratios, requests = comparison.latency_ratios
    return {
        "reference": str(pair[0]),
        "candidate": str(pair[1]),
        "images": comparison.images,
        "disagreement": comparison.share / comparison.images if comparison.images else None,
        "figures": comparison.means(),
        "latency_ratio": ratios / requests if requests else None,
        "worst": [_case(case) for case in comparison.worst],
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "request_id": case.request_id,
        "image": case.index,
        "disagreement": case.share,
        "figures": dict(case.figures),
        "at": case.at,
        "image_kept": case.image is not None,
    }


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _not_found(message: str, request: Request) -> Response:
    return problem(ServiceError(ErrorKind.MODEL_NOT_FOUND, message), request_id_of(request))
