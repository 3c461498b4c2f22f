"""What can be chosen at the top of a dashboard."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import CustomVariable, DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.dashboards.panels import SOURCE
from deploy.dashboards.promql import MODEL, SERVICE, TASK, series

WITHIN = "0.25"
"""Seconds within which answers should come where nothing else is chosen, as in helm/alerts: a bound of the buckets."""
_LABEL_VALUES = 1
"""The kind of query, as Grafana's editor numbers them."""
_BOUNDS = ("0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0")


def _labels(name: str, title: str, of: str, label: str) -> QueryVariable:
    """All values of a label; any number of them can be chosen, and all are at first."""
    query: dict[str, object] = {
        "query": f"label_values({of}, {label})",
        "qryType": _LABEL_VALUES,
        "refId": "PrometheusVariableQueryEditor-VariableQuery",
    }
    variable = QueryVariable(name).label(title).query(query).datasource(SOURCE)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    # All is anything, also nothing: requests that were refused have no model.
    variable.multi(True).include_all(True).all_value(".*")
    return variable.current(VariableOption(selected=True, text=["All"], value=["$__all"]))


def _within() -> CustomVariable:
    options = [VariableOption(selected=bound == WITHIN, text=f"{bound} s", value=bound) for bound in _BOUNDS]
    variable = CustomVariable("within").label("Answers within").values(",".join(f"{at} s : {at}" for at in _BOUNDS))
    return variable.options(options).current(VariableOption(selected=True, text=f"{WITHIN} s", value=WITHIN))


VARIABLES: Mapping[str, Builder[VariableModel]] = {
    "datasource": DatasourceVariable("datasource").label("Data source").type("prometheus"),
    "job": _labels("job", "Job", "vitrail_build_info", "job"),
    "instance": _labels("instance", "Instance", series("vitrail_build_info", 'job=~"$job"'), "instance"),
    "task": _labels("task", "Task", series("vitrail_requests_total", SERVICE), "task"),
    "model": _labels("model", "Model", series("vitrail_version_ready", SERVICE), "model"),
    "model_of_task": _labels("model", "Model", series("vitrail_images_total", TASK), "model"),
    "version": _labels("version", "Version", series("vitrail_version_ready", MODEL), "version"),
    "within": _within(),
    "triton": _labels("triton", "Triton", "nv_inference_count", "instance"),
    "host": _labels("host", "GPU host", "DCGM_FI_DEV_GPU_UTIL", "Hostname"),
}
"""By the names that boards use; where a task can be chosen, the models are those of the task."""
