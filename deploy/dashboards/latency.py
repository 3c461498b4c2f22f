"""Latency: where the time of requests goes, stage by stage and version by version."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import PERCENTILES, STAGES
from deploy.dashboards.panels import PARTS, STACKED, Column, Query, Unit, heat, lines, overview, percentiles, waterfall
from deploy.dashboards.promql import RANGE, REQUEST, mean, quantile, rate, ratio, total

_WHOLE, _STAGE = "vitrail_request_seconds", "vitrail_stage_seconds"


def _by_version(expression: str) -> str:
    """With the label ``of``: the name of the version as callers write it."""
    return f'label_join({expression}, "of", ":", "model", "version")'


_TIME = Row(
    "Whole time",
    [
        lines(
            "Percentiles",
            "From a request's first byte to its answer. A point is a request with a trace.",
            Unit.SECONDS,
            *percentiles(_WHOLE, REQUEST, 0.5, 0.9, 0.95, 0.99, exemplars=True),
            colours=PERCENTILES,
            width=12,
        ),
        heat(
            "Answers by duration",
            "How many answers each second took how long.",
            Unit.SECONDS,
            Query(total(rate(f"{_WHOLE}_bucket", REQUEST), "le"), exemplars=True),
        ),
        lines(
            "Median by version",
            "Of the whole time.",
            Unit.SECONDS,
            Query(quantile(0.5, _WHOLE, REQUEST, "model", "version"), "{{model}}:{{version}}"),
        ),
        lines(
            "99th percentile by version",
            "Of the whole time. A point is a request with a trace.",
            Unit.SECONDS,
            Query(quantile(0.99, _WHOLE, REQUEST, "model", "version"), "{{model}}:{{version}}", exemplars=True),
        ),
        lines(
            "99th percentile by transport",
            "Of the whole time; video is the frames of jobs, live those of live streams.",
            Unit.SECONDS,
            Query(quantile(0.99, _WHOLE, REQUEST, "transport"), "{{transport}}", exemplars=True),
        ),
    ],
)
_STAGES = Row(
    "Stages",
    [
        lines(
            "Waterfall over time",
            "Mean time of a request in each stage, upon one another: the upper edge is the mean of the whole time.",
            Unit.SECONDS,
            Query(mean(_STAGE, REQUEST, "stage"), "{{stage}}"),
            colours=STAGES,
            stacked=STACKED,
            width=12,
        ),
        lines(
            "Parts of the whole",
            "The share of each stage in the time of all requests.",
            Unit.SECONDS,
            Query(total(rate(f"{_STAGE}_sum", REQUEST), "stage"), "{{stage}}"),
            colours=STAGES,
            stacked=PARTS,
            width=12,
        ),
        *(
            lines(
                f"{name} of each stage",
                "They do not add up to a percentile of the whole: what is slow in two stages is seldom one request.",
                Unit.SECONDS,
                Query(quantile(q, _STAGE, REQUEST, "stage"), "{{stage}}"),
                colours=STAGES,
            )
            for name, q in (("Median", 0.5), ("95th percentile", 0.95), ("99th percentile", 0.99))
        ),
    ],
)
_VERSIONS = Row(
    "Stages of each version",
    [
        waterfall(
            "Waterfall by version",
            "Mean time of a request in each stage, over the time shown.",
            Unit.SECONDS,
            Query(_by_version(mean(_STAGE, REQUEST, "model", "version", "stage", window=RANGE))),
            "of",
            STAGES,
        ),
        *(
            lines(
                f"{stage.capitalize()}, 99th percentile by version",
                description,
                Unit.SECONDS,
                Query(
                    quantile(0.99, _STAGE, f'{REQUEST}, stage="{stage}"', "model", "version"), "{{model}}:{{version}}"
                ),
            )
            for stage, description in (
                ("queue", "All waiting: for a decoding thread, for a place in a batch, for the engine."),
                ("compute", "Time in the engine, of the batch that the image was in."),
                ("postprocess", "From the engine's tensors to the task's result."),
            )
        ),
        overview(
            "Versions in figures",
            "Over the time shown.",
            ("task", "model", "version"),
            Column(
                "answers each second",
                Unit.REQUESTS_PER_SECOND,
                total(rate(f"{_WHOLE}_count", REQUEST, RANGE), "task", "model", "version"),
            ),
            Column("mean", Unit.SECONDS, mean(_WHOLE, REQUEST, "task", "model", "version", window=RANGE)),
            *(
                Column(name, Unit.SECONDS, quantile(q, _WHOLE, REQUEST, "task", "model", "version", window=RANGE))
                for name, q in (("median", 0.5), ("95th percentile", 0.95), ("99th percentile", 0.99))
            ),
        ),
    ],
)
_ACCOUNT = Row(
    "Whether it adds up",
    [
        lines(
            "Stages by the whole time",
            "The sum of all stages by the whole time of the same requests: what is missing to 1 has no name yet.",
            Unit.SHARE,
            Query(
                ratio(total(rate(f"{_STAGE}_sum", REQUEST)), total(rate(f"{_WHOLE}_sum", REQUEST))), "stages / whole"
            ),
            width=24,
        )
    ],
)

LATENCY = Board(
    "latency",
    "latency",
    "Where the time of requests goes: stage by stage, version by version.",
    ("job", "instance", "task", "model_of_task", "version"),
    (_TIME, _STAGES, _VERSIONS, _ACCOUNT),
)
