"""gRPC: Vitrail's own service, and the Open Inference Protocol."""
