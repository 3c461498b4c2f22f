"""Video: decoding, which frames are processed, tracking, jobs and live streams."""
