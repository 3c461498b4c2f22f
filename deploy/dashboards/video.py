"""Video jobs and live streams: what runs and waits, what becomes of frames, and how far behind live streams are."""

from deploy.dashboards.board import Board, Row
from deploy.dashboards.colours import BAD, GOOD, OUTCOMES, PERCENTILES, STAGES, WARNING
from deploy.dashboards.panels import PARTS, STACKED, Query, Unit, figure, heat, lines, percentiles
from deploy.dashboards.promql import SERVICE, increase, mean, number, quantile, rate, ratio, series, total

_STATES = {"running": STAGES["compute"], "queued": WARNING, "done": GOOD, "failed": BAD, "cancelled": STAGES["fetch"]}
_LIVE = {"running": GOOD, "reconnecting": WARNING, "failed": BAD, "ended": STAGES["fetch"]}


_NOW = Row(
    "At a glance",
    [
        figure(
            "Jobs running",
            "Videos that are worked through now.",
            Unit.NUMBER,
            Query(total(series("vitrail_video_jobs_now", f'{SERVICE}, state="running"'))),
            width=4,
        ),
        figure(
            "Jobs waiting",
            "Videos that wait for their turn.",
            Unit.NUMBER,
            Query(total(series("vitrail_video_jobs_now", f'{SERVICE}, state="queued"'))),
            width=4,
        ),
        figure(
            "Frames of jobs",
            "Results each second, of models or carried over.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_video_frames_total", f'{SERVICE}, outcome!="skipped"'))),
            width=4,
        ),
        figure(
            "Live streams",
            "Streams that have not ended.",
            Unit.NUMBER,
            Query(total(series("vitrail_streams_now", SERVICE))),
            width=4,
        ),
        figure(
            "Live frames dropped",
            "Share of the frames that came and were overtaken by a later one before a model was free.",
            Unit.SHARE,
            Query(
                number(
                    ratio(
                        total(rate("vitrail_stream_frames_total", f'{SERVICE}, outcome="dropped"')),
                        total(rate("vitrail_stream_frames_total", SERVICE)),
                    )
                )
            ),
            width=4,
            steps=[(0, GOOD), (0.3, WARNING), (0.7, BAD)],
        ),
        figure(
            "Live lag",
            "99th percentile, from a frame's arrival to its result.",
            Unit.SECONDS,
            Query(number(quantile(0.99, "vitrail_stream_lag_seconds", SERVICE))),
            width=4,
            steps=[(0, GOOD), (0.5, WARNING), (2, BAD)],
        ),
    ],
)
_JOBS = Row(
    "Video jobs",
    [
        lines(
            "Jobs now",
            "Videos that run and that wait.",
            Unit.NUMBER,
            Query(total(series("vitrail_video_jobs_now", SERVICE), "state"), "{{state}}"),
            colours=_STATES,
        ),
        lines(
            "Jobs by state",
            "Videos that came into each state since the service started.",
            Unit.NUMBER,
            Query(total(series("vitrail_video_jobs_total", SERVICE), "state"), "{{state}}"),
            colours=_STATES,
        ),
        lines(
            "Frames of jobs, by outcome",
            "Each second: given to a model, carried over from an earlier frame, or skipped by the sampling.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_video_frames_total", SERVICE), "outcome"), "{{outcome}}"),
            colours=OUTCOMES,
            stacked=STACKED,
        ),
        lines(
            "What the sampling saves",
            "Frames of five minutes by what became of them: only those processed cost a model's time.",
            Unit.NUMBER,
            Query(total(increase("vitrail_video_frames_total", SERVICE, "5m"), "outcome"), "{{outcome}}"),
            colours=OUTCOMES,
            stacked=PARTS,
        ),
        lines(
            "Time of a frame of a job",
            "From the moment a frame is asked for to its result.",
            Unit.SECONDS,
            *percentiles("vitrail_request_seconds", f'{SERVICE}, transport="video"', 0.5, 0.95, 0.99, exemplars=True),
            colours=PERCENTILES,
        ),
        lines(
            "Lost engines and webhooks",
            "Jobs that lost their engine and went on, and callers told of the end, since the service started.",
            Unit.NUMBER,
            Query(total(series("vitrail_video_retries_total", SERVICE)), "went on"),
            Query(total(series("vitrail_video_webhooks_total", SERVICE), "outcome"), "webhook {{outcome}}"),
        ),
        lines(
            "Disk of videos",
            "What jobs take, and what they gave back since the service started.",
            Unit.BYTES,
            Query(total(series("vitrail_video_disk_bytes", SERVICE), "instance"), "{{instance}}"),
            Query(total(series("vitrail_video_removed_bytes_total", SERVICE), "instance"), "{{instance}}, given back"),
            width=24,
        ),
    ],
)
_STREAMS = Row(
    "Live streams",
    [
        lines(
            "Streams now",
            "Streams that have not ended, by instance.",
            Unit.NUMBER,
            Query(total(series("vitrail_streams_now", SERVICE), "instance"), "{{instance}}"),
        ),
        lines(
            "Streams by state",
            "Streams that came into each state since the service started.",
            Unit.NUMBER,
            Query(total(series("vitrail_streams_total", SERVICE), "state"), "{{state}}"),
            colours=_LIVE,
        ),
        lines(
            "Connections after the first",
            "Sources that were lost and found again, each second.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_stream_reconnections_total", SERVICE), "instance"), "{{instance}}"),
        ),
        lines(
            "Live frames, by outcome",
            "Each second. Dropped ones were overtaken by a later frame: live streams look at the latest.",
            Unit.PER_SECOND,
            Query(total(rate("vitrail_stream_frames_total", SERVICE), "outcome"), "{{outcome}}"),
            colours=OUTCOMES,
            stacked=STACKED,
        ),
        lines(
            "Lag",
            "From a live frame's arrival to its result.",
            Unit.SECONDS,
            *percentiles("vitrail_stream_lag_seconds", SERVICE, 0.5, 0.95, 0.99),
            Query(mean("vitrail_stream_lag_seconds", SERVICE), "mean"),
            colours=PERCENTILES,
        ),
        heat(
            "Live frames by lag",
            "How many frames each second were how late.",
            Unit.SECONDS,
            Query(total(rate("vitrail_stream_lag_seconds_bucket", SERVICE), "le")),
            width=8,
        ),
    ],
)

VIDEO = Board(
    "video",
    "video and live streams",
    "What runs and waits, what becomes of frames, and how far behind live streams are.",
    ("job", "instance"),
    (_NOW, _JOBS, _STREAMS),
)
