"""What stands beside the service where it is deployed; nothing here is part of the service."""
