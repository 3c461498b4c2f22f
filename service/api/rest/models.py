"""``GET /v1/models…``: what is served, in which versions, and in what state."""

from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from contract.card import ModelCard
from service.api.rest.document import BINARY, MODEL_NAME, VERSION_NUMBER, path_parameter, problems
from service.api.rest.model_schemas import (
    CardFacts,
    CaseAnswer,
    CertificateSummary,
    ComparisonAnswer,
    ModelAnswer,
    ModelsAnswer,
    TrafficAnswer,
    VersionAnswer,
    VersionSummary,
)
from service.api.rest.predict import request_id_of
from service.api.rest.problems import problem
from service.errors import ErrorKind, ServiceError
from service.registry.registry import Registry
from service.registry.routing import STABLE
from service.registry.routing_control import RoutingControl
from service.registry.version import Version
from service.rollout.comparison import Case, Comparison
from service.rollout.rollout import Pair, Rollout, figures_of
from service.security.caller import caller_of

_MODELS: dict[str, Any] = {"responses": {200: {"model": ModelsAnswer, "description": "All models."}}}
_MODEL: dict[str, Any] = {
    "responses": {200: {"model": ModelAnswer, "description": "The model and its versions."}, **problems(404)},
    "openapi_extra": {"parameters": [MODEL_NAME]},
}
_TRAFFIC: dict[str, Any] = {
    "responses": {200: {"model": TrafficAnswer, "description": "Shares, and what was seen."}, **problems(404)},
    "openapi_extra": {"parameters": [MODEL_NAME]},
}
_VERSION: dict[str, Any] = {
    "responses": {200: {"model": VersionAnswer, "description": "The version."}, **problems(404)},
    "openapi_extra": {"parameters": [MODEL_NAME, VERSION_NUMBER]},
}
_IMAGE: dict[str, Any] = {
    "responses": {
        200: {"description": "The image as it was sent.", "content": {"application/octet-stream": {"schema": BINARY}}},
        **problems(404),
    },
    "response_class": Response,
    "openapi_extra": {
        "parameters": [
            MODEL_NAME,
            path_parameter("reference", "The version that is held against.", pattern="^[1-9][0-9]{0,8}$"),
            path_parameter("candidate", "The version on trial.", pattern="^[1-9][0-9]{0,8}$"),
            path_parameter("place", "The image's place among the worst, the worst being 0.", pattern="^[0-9]{1,3}$"),
        ]
    },
}


class NoColon(StringConvertor):
    """A part of a path without a colon: behind one stands what is to be done, by a method of its own."""

    regex = "[^/:]+"


register_url_convertor("no_colon", NoColon())


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """What the routes of the models need."""

    registry: Registry
    control: RoutingControl
    rollout: Rollout

    def router(self) -> APIRouter:
        """The reading routes."""
        router = APIRouter(prefix="/v1/models", tags=["models"])
        image = "/{name}/traffic/{reference}/{candidate}/images/{place}"
        for path, work, summary, described in (
            ("", self._list, "List models", _MODELS),
            ("/{name}", self._model, "Describe a model", _MODEL),
            ("/{name}/traffic", self._traffic, "How traffic is divided", _TRAFFIC),
            (image, self._image, "An image on which two versions disagreed, where images are kept", _IMAGE),
            ("/{name}/versions/{number:no_colon}", self._version, "A version's card, state and certificate", _VERSION),
        ):
            router.add_api_route(path, work, methods=["GET"], summary=summary, response_model=None, **described)
        return router

    async def _list(self) -> Response:
        models = self.registry.models()
        described = [self._describe(name, versions) for name, versions in models.items()]
        return _json({"models": described, "routing": {"problem": self.control.problem}})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["name"]
        versions = self.registry.models().get(name)
        if versions is None:
            return _not_found(f"there is no model {name!r}; see /v1/models", request)
        return _json(self._describe(name, versions))

    async def _traffic(self, request: Request) -> Response:
        name = request.path_params["name"]
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

    async def _image(self, request: Request) -> Response:
        """The encoded image of one of the worst cases, by its place in ``worst``: of any caller, so not for all."""
        if not caller_of(request.scope).sees_all:
            why = "other callers' images are for callers with the scope admin only"
            return problem(ServiceError(ErrorKind.FORBIDDEN, why), request_id_of(request))
        name, reference, candidate, place = (
            request.path_params[key] for key in ("name", "reference", "candidate", "place")
        )
        for pair, comparison in self.rollout.comparisons(name).items():
            if (reference, candidate) == tuple(map(str, pair)) and place.isdecimal():
                cases = comparison.worst[int(place[:3]) :][:1]
                if cases and cases[0].image is not None:
                    return Response(cases[0].image, media_type="application/octet-stream")
        return _not_found("no such image is kept; --keep-disagreeing-images has it kept", request)

    async def _version(self, request: Request) -> Response:
        name, number = request.path_params["name"], request.path_params["number"]
        found = [v for v in self.registry.models().get(name, []) if str(v.number) == number]
        if not found:
            return _not_found(f"there is no version {number} of a model {name!r}; see /v1/models", request)
        return self.version_response(found[0])

    def version_response(self, version: Version) -> Response:
        """A version's state and card."""
        card = version.card.model_dump(mode="json") if version.card else None
        return _json({"model": version.model, **_state(version), "card": card})

    def _describe(self, name: str, versions: list[Version]) -> ModelAnswer:
        stable = self.registry.aliased(name)
        card = stable.card if stable else next((v.card for v in reversed(versions) if v.card), None)
        facts: CardFacts = self._of_card(card) if card else {}
        return {
            "name": name,
            **facts,
            "versions": [_state(version) for version in versions],
            "aliases": self._aliases(name),
        }

    def _aliases(self, name: str) -> dict[str, str]:
        """Versions by alias; ``stable`` too, which unless set is the newest that is ready."""
        stable = self.registry.aliased(name)
        newest = {STABLE: str(stable.card.version)} if stable else {}
        return newest | {alias: str(version) for alias, version in self.registry.traffic(name).aliases.items()}

    def _of_card(self, card: ModelCard) -> CardFacts:
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


def _state(version: Version) -> VersionSummary:
    certificate: CertificateSummary | None = None
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


def _compared(pair: Pair, comparison: Comparison) -> ComparisonAnswer:
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


def _case(case: Case) -> CaseAnswer:
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
