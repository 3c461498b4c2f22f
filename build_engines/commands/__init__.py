"""The commands of `vitrail-build` that are more than a call of the pipeline, one file each."""
