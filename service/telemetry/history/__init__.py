"""What happened in the last hour, kept in the process: the source of the dashboard."""

from service.telemetry.history.history import FEWEST_POINTS, MOST_POINTS, SHORTEST_WINDOW_S, History

__all__ = ["FEWEST_POINTS", "MOST_POINTS", "SHORTEST_WINDOW_S", "History"]
