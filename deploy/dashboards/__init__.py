"""Grafana's dashboards of Vitrail, written as code: `python -m deploy.dashboards` writes them to helm/dashboards."""

from deploy.dashboards.latency import LATENCY
from deploy.dashboards.overview import OVERVIEW
from deploy.dashboards.saturation import SATURATION
from deploy.dashboards.triton import TRITON
from deploy.dashboards.versions import VERSIONS
from deploy.dashboards.video import VIDEO

DASHBOARDS = (OVERVIEW, LATENCY, SATURATION, VERSIONS, VIDEO, TRITON)
"""All of them; the first is what Grafana opens with."""

__all__ = ["DASHBOARDS"]
