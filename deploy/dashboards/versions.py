"""Versions in traffic: who gets which share, how a canary does beside stable, what came, went and was rolled back."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import BAD, GOOD, OUTCOMES
from deploy.dashboards.panels import STACKED, Column, Query, Unit, figure, heat, lines, overview
from deploy.dashboards.promql import (
    MODEL,
    RANGE,
    REQUEST,
    SERVICE,
    TASK,
    VERSION,
    increase,
    mean,
    quantile,
    rate,
    series,
    share,
    total,
)

_NAME = "{{model}}:{{version}}"
_REQUESTS, _FAULTS = "vitrail_requests_total", "vitrail_version_faults_total"
_SHARE = "vitrail_traffic_share"
_ANSWERED = f'{REQUEST}, model!=""'
_OF_MODEL = f'{TASK}, model=~"$model", model!=""'


def _on_trial(expression: str) -> str:
    """Only the versions that an alias with a share of the traffic stands for, and stable."""
    return f"{expression} and on (model, version) {series(_SHARE, VERSION)}"


def _fault_share() -> str:
    """The share of faults in what came to each version; one that never answered has no requests, only faults."""
    answered = total(rate(_REQUESTS, _ANSWERED), "model", "version")
    faults = total(rate(_FAULTS, VERSION), "model", "version")
    return share(faults, f"(({answered} + {faults}) or {answered} or {faults})")


def _worst(metric: str) -> str:
    """Of all instances, for each version."""
    return f"min by (model, version) ({series(metric, VERSION)})"


_NOW = Row(
    "At a glance",
    [
        figure(
            "Versions ready",
            "Versions that take traffic.",
            Unit.NUMBER,
            Query(total(series("vitrail_version_ready", VERSION))),
            width=4,
        ),
        figure(
            "Certified",
            "Share of the versions that were proved against their source.",
            Unit.SHARE,
            Query(f"avg({series('vitrail_version_certified', VERSION)})"),
            width=4,
            steps=[(0, BAD), (1, GOOD)],
        ),
        figure(
            "Models with shares",
            "Models whose callers are divided among versions.",
            Unit.NUMBER,
            Query(f"count(count by (model) ({series(_SHARE, MODEL)} > 0 < 1)) or vector(0)"),
            width=4,
        ),
        figure(
            "Faults on trial",
            "Requests in the time shown that a version got by its share and could not answer; stable did.",
            Unit.NUMBER,
            Query(f"{total(increase(_FAULTS, VERSION, RANGE))} or vector(0)"),
            width=4,
            steps=[(0, GOOD), (1, BAD)],
            decimals=0,
        ),
        figure(
            "Rolled back",
            "Shares that went back to stable since the service started.",
            Unit.NUMBER,
            Query(f"{total(series('vitrail_rollbacks_total', MODEL))} or vector(0)"),
            width=4,
            steps=[(0, GOOD), (1, BAD)],
        ),
        figure(
            "Evicted",
            "Versions that gave their memory to others since the service started.",
            Unit.NUMBER,
            Query(total(series("vitrail_evictions_total", SERVICE))),
            width=4,
        ),
    ],
)
_TRAFFIC = Row(
    "Traffic",
    [
        lines(
            "Share that is set",
            "What each alias gets of the requests that name no alias and no version.",
            Unit.SHARE,
            Query(
                f"max by (model, alias, version) ({series(_SHARE, VERSION)})",
                "{{model}}@{{alias}}, version {{version}}",
            ),
            top=1,
        ),
        lines(
            "Share that is got",
            "Of all requests of the model that were answered, also of those that name a version.",
            Unit.SHARE,
            Query(
                f"{total(rate(_REQUESTS, _ANSWERED), 'model', 'version')} / on (model) group_left () "
                f"{total(rate(_REQUESTS, _OF_MODEL), 'model')}",
                _NAME,
            ),
            top=1,
        ),
        lines(
            "Requests by alias",
            "Requests answered each second, by the alias that they came under.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                total(rate(_REQUESTS, _ANSWERED), "model", "alias", "version"),
                "{{model}}@{{alias}}, version {{version}}",
            ),
            stacked=STACKED,
        ),
    ],
)
_TRIAL = Row(
    "Canary against stable",
    [
        lines(
            "Median, versions with a share",
            "Of the whole time.",
            Unit.SECONDS,
            Query(_on_trial(quantile(0.5, "vitrail_request_seconds", REQUEST, "model", "version")), _NAME),
        ),
        lines(
            "99th percentile, versions with a share",
            "Of the whole time. A point is a request with a trace.",
            Unit.SECONDS,
            Query(
                _on_trial(quantile(0.99, "vitrail_request_seconds", REQUEST, "model", "version")), _NAME, exemplars=True
            ),
        ),
        lines(
            "Faults of versions with a share",
            "Share of a version's requests that it could not answer; stable answered in its stead.",
            Unit.SHARE,
            Query(_fault_share(), _NAME),
        ),
        lines(
            "Engine time, versions with a share",
            "Mean of the stage compute: what the version itself takes.",
            Unit.SECONDS,
            Query(
                _on_trial(mean("vitrail_stage_seconds", f'{REQUEST}, stage="compute"', "model", "version")),
                _NAME,
            ),
        ),
        lines(
            "Rolled back, by rule",
            "Shares that went back to stable since the service started, by the rule that was broken.",
            Unit.NUMBER,
            Query(
                total(series("vitrail_rollbacks_total", MODEL), "model", "alias", "rule"),
                "{{model}}@{{alias}}: {{rule}}",
            ),
        ),
        lines(
            "Copies",
            "Requests that were asked of a second version too, to compare the answers; dropped is for want of room.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_copies_total", VERSION), "outcome"), "{{outcome}}"),
            colours=OUTCOMES,
            stacked=STACKED,
        ),
    ],
)
_DISAGREEMENT = Row(
    "Disagreement",
    [
        lines(
            "Mean disagreement",
            "Share of an answer, 0 to 1, in which a version differs from stable on the same image.",
            Unit.SHARE,
            Query(mean("vitrail_disagreement", VERSION, "model", "version"), _NAME),
        ),
        heat(
            "Answers by disagreement",
            "How many copies each second differed by up to so much.",
            Unit.SHARE,
            Query(total(rate("vitrail_disagreement_bucket", VERSION), "le")),
            width=8,
        ),
        lines(
            "In the task's own figures",
            "Means: flips of the first class, distances, boxes missed, IoU of masks, and so on.",
            Unit.NUMBER,
            Query(
                mean("vitrail_disagreement_figure", VERSION, "model", "version", "figure"), f"{_NAME} {{{{figure}}}}"
            ),
        ),
    ],
)
_LIFE = Row(
    "Loaded, certified, evicted",
    [
        overview(
            "Versions",
            "Ready and certified are 1 or 0; the memory is that of all instances together.",
            ("model", "version"),
            Column("ready", Unit.NUMBER, _worst("vitrail_version_ready")),
            Column("certified", Unit.NUMBER, _worst("vitrail_version_certified")),
            Column("memory", Unit.BYTES, total(series("vitrail_version_memory_bytes", VERSION), "model", "version")),
            Column(
                "last load took", Unit.SECONDS, f"max by (model, version) ({series('vitrail_load_seconds', VERSION)})"
            ),
            Column("images answered", Unit.NUMBER, total(series("vitrail_images_total", VERSION), "model", "version")),
            width=16,
        ),
        lines(
            "Engines",
            "Versions by the provider of ONNX Runtime that they run on; with Triton there is none.",
            Unit.NUMBER,
            Query(total(series("vitrail_version_engine", VERSION), "provider"), "{{provider}}"),
            stacked=STACKED,
        ),
        lines(
            "Memory by version",
            "Its files, or what the process grew by as it was loaded.",
            Unit.BYTES,
            Query(total(series("vitrail_version_memory_bytes", VERSION), "model", "version"), _NAME),
            stacked=STACKED,
        ),
        lines(
            "Loads",
            "Versions loaded since the service started, by outcome.",
            Unit.NUMBER,
            Query(total(series("vitrail_loads_total", SERVICE), "outcome"), "{{outcome}}"),
        ),
        lines(
            "Evictions",
            "Each second. Several a minute mean that the memory is too small for what is asked.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_evictions_total", SERVICE), "instance"), "{{instance}}"),
        ),
    ],
)

VERSIONS = Board(
    "versions",
    "versions in traffic",
    "Who gets which share, how a canary does beside stable, and what came, went and was rolled back.",
    ("job", "instance", "task", "model_of_task", "version"),
    (_NOW, _TRAFFIC, _TRIAL, _DISAGREEMENT, _LIFE),
)
