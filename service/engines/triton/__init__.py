"""NVIDIA Triton as the engine: several replicas of it behind the one seam."""
