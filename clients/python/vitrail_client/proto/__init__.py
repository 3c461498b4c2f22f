"""The messages of vitrail.v1; written by clients/python/generate.py (make client-types) from vision.proto."""
