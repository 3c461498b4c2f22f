"""What a request leaves behind: metrics, its trace, its line in the access log, and the last hour's history."""

from service.telemetry.account import Account, Ended, Transport
from service.telemetry.metrics import Telemetry, VersionMetrics
from service.telemetry.stages import STAGES, Stages

__all__ = ["STAGES", "Account", "Ended", "Stages", "Telemetry", "Transport", "VersionMetrics"]
