"""Batching and saturation: how well images go together, what waits, and how near the limits are."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import BAD, GOOD, PERCENTILES, QUIET, WARNING
from deploy.dashboards.panels import STACKED, Query, Unit, figure, heat, lines, percentiles
from deploy.dashboards.promql import SERVICE, VERSION, mean, number, quantile, rate, ratio, series, total

_NAME = "{{model}}:{{version}}"
_IN_FLIGHT, _LIMIT = "vitrail_images_in_flight", "vitrail_images_in_flight_limit"
_ENGINE, _WASTED = "vitrail_engine_seconds_total", "vitrail_wasted_engine_seconds_total"
_OVERLOAD = f'{SERVICE}, reason=~"overloaded|rate_limited"'


def _each(metric: str) -> str:
    return total(rate(metric, VERSION), "model", "version")


_NOW = Row(
    "At a glance",
    [
        figure(
            "In flight",
            "Images admitted and not yet answered, as a share of those that may be; at 1 all others are refused.",
            Unit.SHARE,
            Query(number(ratio(total(series(_IN_FLIGHT, SERVICE)), total(series(_LIMIT, SERVICE))))),
            width=4,
            steps=[(0, GOOD), (0.7, WARNING), (0.95, BAD)],
        ),
        figure(
            "Waiting",
            "Images that wait for the engine.",
            Unit.NUMBER,
            Query(total(series("vitrail_queue_depth", VERSION))),
            width=4,
        ),
        figure(
            "Images in a batch",
            "The mean: how well single requests are put together.",
            Unit.NUMBER,
            Query(number(mean("vitrail_batch_size", VERSION))),
            width=4,
            decimals=2,
        ),
        figure(
            "Engine threads busy",
            "Seconds of engine time each second.",
            Unit.NUMBER,
            Query(total(rate(_ENGINE, VERSION))),
            width=4,
            decimals=2,
        ),
        figure(
            "Wasted",
            "Share of the engine's time that went to images whose caller had left.",
            Unit.SHARE,
            Query(number(ratio(total(rate(_WASTED, VERSION)), total(rate(_ENGINE, VERSION))))),
            width=4,
            steps=[(0, GOOD), (0.02, WARNING), (0.1, BAD)],
        ),
        figure(
            "Event loop late",
            "How late the event loop was in the last second, at worst: callers feel it in everything.",
            Unit.SECONDS,
            Query(f"max({series('vitrail_event_loop_lag_seconds', SERVICE)})"),
            width=4,
            steps=[(0, GOOD), (0.05, WARNING), (0.25, BAD)],
        ),
    ],
)
_BATCHES = Row(
    "Batches",
    [
        lines(
            "Images in a batch, by version",
            "The mean of each version.",
            Unit.NUMBER,
            Query(mean("vitrail_batch_size", VERSION, "model", "version"), _NAME),
        ),
        heat(
            "Batches by size",
            "How many batches each second had up to so many images.",
            Unit.NUMBER,
            Query(total(rate("vitrail_batch_size_bucket", VERSION), "le")),
            width=8,
        ),
        lines(
            "Images by version",
            "Images answered each second.",
            Unit.PER_SECOND,
            Query(_each("vitrail_images_total"), _NAME),
        ),
    ],
)
_QUEUE = Row(
    "Queue",
    [
        lines(
            "Waiting for the engine",
            "Images in the queue of each version.",
            Unit.NUMBER,
            Query(total(series("vitrail_queue_depth", VERSION), "model", "version"), _NAME),
        ),
        lines(
            "Wait of an image",
            "From its queue to its batch, all versions together.",
            Unit.SECONDS,
            *percentiles("vitrail_queue_wait_seconds", VERSION, 0.5, 0.95, 0.99),
            colours=PERCENTILES,
        ),
        lines(
            "Wait of an image, 99th percentile by version",
            "From its queue to its batch.",
            Unit.SECONDS,
            Query(quantile(0.99, "vitrail_queue_wait_seconds", VERSION, "model", "version"), _NAME),
        ),
    ],
)
_ENGINES = Row(
    "Engine",
    [
        lines(
            "Engine threads busy, by version",
            "Seconds of engine time each second; the number of threads is the most there can be.",
            Unit.NUMBER,
            Query(_each(_ENGINE), _NAME),
            stacked=STACKED,
        ),
        lines(
            "Engine time of an image",
            "Seconds of engine time by images answered: larger batches make it less.",
            Unit.SECONDS,
            Query(ratio(_each(_ENGINE), _each("vitrail_images_total")), _NAME),
        ),
        lines(
            "Wasted engine time",
            "Seconds each second that went to images whose caller had left before the answer.",
            Unit.NUMBER,
            Query(_each(_WASTED), _NAME),
        ),
    ],
)
_ADMISSION = Row(
    "Admission",
    [
        lines(
            "In flight and permitted",
            "Images admitted and not yet answered, by instance, and how many may be.",
            Unit.NUMBER,
            Query(total(series(_IN_FLIGHT, SERVICE), "instance"), "{{instance}}"),
            Query(total(series(_LIMIT, SERVICE), "instance"), "{{instance}}, permitted"),
            colours={"/permitted$/": QUIET},
        ),
        lines(
            "Refused for want of room",
            "Requests each second that found the queue full, all places taken, or their own rate exceeded.",
            Unit.REQUESTS_PER_SECOND,
            Query(
                total(rate("vitrail_rejections_total", _OVERLOAD), "reason", "transport"), "{{reason}}, {{transport}}"
            ),
        ),
        lines(
            "Without an answer, by reason",
            "All requests that got none, by the kind of error that callers see.",
            Unit.REQUESTS_PER_SECOND,
            Query(total(rate("vitrail_rejections_total", SERVICE), "reason"), "{{reason}}"),
            stacked=STACKED,
        ),
    ],
)
_PROCESS = Row(
    "Process",
    [
        lines(
            "Event loop",
            "How late it was in the last second, at worst. Beyond some 50 ms something blocks it.",
            Unit.SECONDS,
            Query(f"max by (instance) ({series('vitrail_event_loop_lag_seconds', SERVICE)})", "{{instance}}"),
        ),
        lines(
            "Processors",
            "Processors' worth of work, by instance.",
            Unit.NUMBER,
            Query(total(rate("process_cpu_seconds_total", SERVICE), "instance"), "{{instance}}"),
        ),
        lines(
            "Memory",
            "In memory now, by instance, and of that what the loaded versions took.",
            Unit.BYTES,
            Query(total(series("process_resident_memory_bytes", SERVICE), "instance"), "{{instance}}"),
            Query(total(series("vitrail_version_memory_bytes", SERVICE), "instance"), "{{instance}}, versions"),
        ),
        lines(
            "Files open",
            "Files and connections, as a share of those that the process may have.",
            Unit.SHARE,
            Query(
                ratio(
                    total(series("process_open_fds", SERVICE), "instance"),
                    total(series("process_max_fds", SERVICE), "instance"),
                ),
                "{{instance}}",
            ),
        ),
        lines(
            "Garbage collections",
            "Each second, by generation; those of generation 2 look at everything there is.",
            Unit.PER_SECOND,
            Query(total(rate("python_gc_collections_total", SERVICE), "generation"), "generation {{generation}}"),
        ),
        lines(
            "Time since the start",
            "A line that falls to the ground is a restart.",
            Unit.SECONDS,
            Query(f"time() - {series('process_start_time_seconds', SERVICE)}", "{{instance}}"),
        ),
    ],
)

SATURATION = Board(
    "saturation",
    "batching and saturation",
    "How well images go together, what waits for what, and how near the limits are.",
    ("job", "instance", "model", "version"),
    (_NOW, _BATCHES, _QUEUE, _ENGINES, _ADMISSION, _PROCESS),
)
