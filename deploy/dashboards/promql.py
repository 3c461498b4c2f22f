"""PromQL in small pieces: what is asked of Prometheus, without the punctuation."""

WINDOW = "$__rate_interval"
"""Grafana's: four scrapes at least."""
RANGE = "$__range"
"""All of the time that is shown."""

SERVICE = 'job=~"$job", instance=~"$instance"'
TASK = f'{SERVICE}, task=~"$task"'
MODEL = f'{SERVICE}, model=~"$model"'
VERSION = f'{MODEL}, version=~"$version"'
REQUEST = f'{TASK}, model=~"$model", version=~"$version"'

WAITED = 'transport!~"live|video"'
"""Somebody waits for the answer: it is no frame of a stream or of a job."""
ANSWERED = 'code=~"2..|OK"'
FAULT = 'reason=~"engine_unavailable|internal"'
"""The service is to blame."""
LATE = 'reason=~"cancelled|deadline_exceeded"'
"""The caller would not wait, or not any longer."""
REFUSED = 'reason!~"engine_unavailable|internal|cancelled|deadline_exceeded"'
"""The caller is told why not."""


def series(metric: str, where: str = "") -> str:
    """The series of a metric."""
    return f"{metric}{{{where}}}"


def rate(metric: str, where: str = "", window: str = WINDOW) -> str:
    """How much each series of a counter rises a second."""
    return f"rate({metric}{{{where}}}[{window}])"


def increase(metric: str, where: str = "", window: str = WINDOW) -> str:
    """How much each series of a counter rises in the window."""
    return f"increase({metric}{{{where}}}[{window}])"


def total(expression: str, *by: str) -> str:
    """The sum, for each value of these labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def ratio(part: str, whole: str) -> str:
    """One by the other."""
    return f"{part} / {whole}"


def counted(part: str, whole: str) -> str:
    """A part, and 0 where there is none: a series that has never counted anything is not there at all."""
    return f"({part} or {whole} * 0)"


def share(part: str, whole: str) -> str:
    """One by the other, and 0 where there is no part."""
    return ratio(counted(part, whole), whole)


def number(expression: str) -> str:
    """Only what is a number: while nobody asks, a mean is nothing divided by nothing, and no panel should say NaN."""
    return f"({expression}) >= 0"


def quantile(q: float, metric: str, where: str, *by: str, window: str = WINDOW) -> str:
    """A quantile of a histogram, for each value of these labels."""
    return f"histogram_quantile({q:g}, {total(rate(f'{metric}_bucket', where, window), *by, 'le')})"


def mean(metric: str, where: str, *by: str, window: str = WINDOW) -> str:
    """The mean of a histogram or a summary, for each value of these labels."""
    return ratio(total(rate(f"{metric}_sum", where, window), *by), total(rate(f"{metric}_count", where, window), *by))
