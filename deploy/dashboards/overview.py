"""The overview: how many requests there are, how many fail, how long they take; by task, and against an objective."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import BAD, CODES, GOOD, PERCENTILES, WARNING
from deploy.dashboards.panels import STACKED, Query, Unit, figure, heat, lines, percentiles
from deploy.dashboards.promql import (
    ANSWERED,
    FAULT,
    LATE,
    RANGE,
    REFUSED,
    SERVICE,
    TASK,
    WAITED,
    WINDOW,
    counted,
    mean,
    number,
    quantile,
    rate,
    ratio,
    series,
    share,
    total,
)

OBJECTIVE = 0.999
"""As in helm/alerts: so many should be answered of those that are, or fail by the service's own fault."""
_ADDRESS = "/d/vitrail-latency?${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"
_TO_LATENCY = ("Where the time goes", f"{_ADDRESS}&var-task=${{__field.labels.task}}")


def _of_all(part: str, window: str) -> str:
    """The share that these rejections have in all requests of each task."""
    everything = total(rate("vitrail_requests_total", TASK, window), "task")
    return share(total(rate("vitrail_rejections_total", f"{TASK}, {part}", window), "task"), everything)


def _faults(window: str) -> str:
    """The share of faults in what was answered or failed by our fault, of requests that somebody waits for."""
    requests, rejections = "vitrail_requests_total", "vitrail_rejections_total"
    everything = total(rate(requests, f"{TASK}, {WAITED}", window))
    answers = counted(total(rate(requests, f"{TASK}, {WAITED}, {ANSWERED}", window)), everything)
    faults = counted(total(rate(rejections, f"{TASK}, {WAITED}, {FAULT}", window)), everything)
    return ratio(faults, f"({answers} + {faults})")


def _quick(window: str) -> str:
    """The share of answers that came in time, of requests that somebody waits for."""
    metric = "vitrail_request_seconds"
    return ratio(
        total(rate(f"{metric}_bucket", f'{TASK}, {WAITED}, le="$within"', window)),
        total(rate(f"{metric}_count", f"{TASK}, {WAITED}", window)),
    )


_NOW = Row(
    "At a glance",
    [
        figure(
            "Requests",
            "Requests that end each second, with the frames of streams and of videos.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_requests_total", TASK))),
        ),
        figure(
            "Images",
            "Images answered each second.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_images_total", TASK))),
        ),
        figure(
            "Answered",
            "Share of the requests in the time shown that got their answer, of those that did or failed by our fault.",
            Unit.SHARE,
            Query(number(f"1 - {_faults(RANGE)}")),
            steps=[(0, BAD), (0.99, WARNING), (OBJECTIVE, GOOD)],
            decimals=3,
        ),
        figure(
            "In time",
            "Share of the answers in the time shown that came within the time chosen at the top.",
            Unit.SHARE,
            Query(number(_quick(RANGE))),
            steps=[(0, BAD), (0.95, WARNING), (0.99, GOOD)],
            decimals=2,
        ),
        figure(
            "Median",
            "Half of the answers came within this time.",
            Unit.SECONDS,
            Query(number(quantile(0.5, "vitrail_request_seconds", TASK))),
        ),
        figure(
            "99th percentile",
            "All but one in a hundred answers came within this time.",
            Unit.SECONDS,
            Query(number(quantile(0.99, "vitrail_request_seconds", TASK))),
        ),
        figure(
            "In flight",
            "Images admitted and not yet answered, as a share of those that may be.",
            Unit.SHARE,
            Query(
                number(
                    ratio(
                        total(series("vitrail_images_in_flight", SERVICE)),
                        total(series("vitrail_images_in_flight_limit", SERVICE)),
                    )
                )
            ),
            steps=[(0, GOOD), (0.7, WARNING), (0.95, BAD)],
        ),
        figure(
            "Versions ready",
            "Versions that take traffic, in all instances.",
            Unit.NUMBER,
            Query(total(series("vitrail_version_ready", SERVICE))),
        ),
    ],
)
_RATE = Row(
    "Rate",
    [
        lines(
            "Requests by task",
            "Requests that end each second, answered or not.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_requests_total", TASK), "task"), "{{task}}"),
            link=_TO_LATENCY,
        ),
        lines(
            "Requests by answer",
            "By status: of HTTP, also for frames, or of gRPC.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_requests_total", TASK), "code"), "{{code}}"),
            colours=CODES,
            stacked=STACKED,
        ),
        lines(
            "Requests by transport",
            "How they came; video is the frames of jobs, live those of live streams.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_requests_total", TASK), "transport"), "{{transport}}"),
        ),
    ],
)
_ERRORS = Row(
    "Errors",
    [
        lines(
            "Faults by task",
            "Share of all requests that failed by the service's own fault: internal errors, engines that are gone.",
            Unit.SHARE,
            Query(_of_all(FAULT, WINDOW), "{{task}}"),
            width=6,
        ),
        lines(
            "Given up by task",
            "Share of all requests whose caller left, or whose deadline passed, before there was an answer.",
            Unit.SHARE,
            Query(_of_all(LATE, WINDOW), "{{task}}"),
            width=6,
        ),
        lines(
            "Refused by task",
            "Share of all requests whose caller was told why not: a bad image, no such model, too much at a time.",
            Unit.SHARE,
            Query(_of_all(REFUSED, WINDOW), "{{task}}"),
            width=6,
        ),
        lines(
            "Without an answer, by reason",
            "All of them, by the kind of error that callers see.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_rejections_total", TASK), "reason"), "{{reason}}"),
            stacked=STACKED,
            width=6,
        ),
    ],
)
_DURATION = Row(
    "Duration",
    [
        *(
            lines(
                f"{name} by task",
                "From the first byte of a request to its answer. A point is a request with a trace.",
                Unit.SECONDS,
                Query(quantile(q, "vitrail_request_seconds", TASK, "task"), "{{task}}", exemplars=True),
                link=_TO_LATENCY,
            )
            for name, q in (("Median", 0.5), ("95th percentile", 0.95), ("99th percentile", 0.99))
        ),
        heat(
            "Answers by duration",
            "How many answers each second took how long, all tasks together.",
            Unit.SECONDS,
            Query(total(rate("vitrail_request_seconds_bucket", TASK), "le"), exemplars=True),
        ),
        lines(
            "Mean and percentiles",
            "Of all tasks together.",
            Unit.SECONDS,
            *percentiles("vitrail_request_seconds", TASK, 0.5, 0.95, 0.99, exemplars=True),
            Query(mean("vitrail_request_seconds", TASK), "mean"),
            colours=PERCENTILES,
            width=12,
        ),
    ],
)
_OBJECTIVE = Row(
    "Against the objective",
    [
        lines(
            "Budget spent, by window",
            f"How many times faster than allowed the budget of {1 - OBJECTIVE:.1%} is spent: at 1 it lasts a month, "
            "at 14.4, where an alert goes out, two days.",
            Unit.NUMBER,
            *(Query(f"{_faults(window)} / {1 - OBJECTIVE:g}", window) for window in ("5m", "1h", "6h")),
        ),
        lines(
            "Answered, by window",
            "Share of the requests that got their answer, of those that got one or failed by our fault.",
            Unit.SHARE,
            *(Query(f"1 - {_faults(window)}", window) for window in ("5m", "1h", "6h")),
            top=1,
        ),
        lines(
            "In time, by window",
            "Share of the answers that came within the time chosen at the top.",
            Unit.SHARE,
            *(Query(_quick(window), window) for window in ("5m", "1h", "6h")),
            top=1,
        ),
    ],
)
_LOAD = Row(
    "What is moved",
    [
        lines(
            "Images by task",
            "Images answered each second.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_images_total", TASK), "task"), "{{task}}"),
        ),
        lines(
            "Pixels by task",
            "Pixels of the images decoded each second.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_decoded_pixels_total", TASK), "task"), "{{task}}"),
        ),
        lines(
            "Bytes by transport",
            "Of the bodies of requests and answers.",
            Unit.BYTES_PER_SECOND,
            Query(total(rate("vitrail_received_bytes_total", SERVICE), "transport"), "{{transport}}, received"),
            Query(total(rate("vitrail_sent_bytes_total", SERVICE), "transport"), "{{transport}}, sent"),
        ),
    ],
)

OVERVIEW = Board(
    "overview",
    "overview",
    "What callers get: how many requests there are, how many of them fail, and how long they take.",
    ("job", "instance", "task", "within"),
    (_NOW, _RATE, _ERRORS, _DURATION, _OBJECTIVE, _LOAD),
)
