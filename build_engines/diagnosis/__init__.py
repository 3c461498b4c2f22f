"""When a certificate fails: which batch size, which output, and where the two computations first part."""

from build_engines.diagnosis.diagnose import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
