"""`helm test`: the metrics can be read, and at least one version is ready."""  # noqa: INP001

import sys

from asking import answer


def main() -> None:
    """Ask, and print what came; ends with 1 if it is not as it should be."""
    lines = answer(f"{sys.argv[1]}/metrics").decode().splitlines()
    if not any(line.startswith("vitrail_build_info{") for line in lines):
        sys.exit("these are not the metrics of Vitrail")
    ready = [line for line in lines if line.startswith("vitrail_version_ready{") and float(line.split()[-1]) == 1]
    if not ready:
        sys.exit("no version is ready; /v1/models says why")
    print(f"{len(ready)} versions are ready")  # noqa: T201


if __name__ == "__main__":
    main()
