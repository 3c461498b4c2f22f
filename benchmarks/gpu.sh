#!/bin/sh
# Build, certify and time TensorRT plans of a repository's models on the GPU of this machine, within eight minutes.
#
#     benchmarks/gpu.sh [MODEL…] [--engine tensorrt-rtx] [--precision fp32 fp16] [--output gpu.json]
#
# Needs: NVIDIA's driver, Python 3.11, vitrail[build,rtx] (or [build,gpu] for --engine tensorrt), and a model
# repository. Where no package index can be reached, WHEELS names a folder of wheels to install from. What is missing is
# named, in the JSON too.
set -eu

cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
command -v "$python" >/dev/null 2>&1 || { echo "missing: Python ($python); set PYTHON" >&2; exit 2; }
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --find-links "$WHEELS" "vitrail[build,${EXTRA:-rtx}] @ file://$PWD" || {
        echo "missing: a wheel in $WHEELS (see above); fill it by 'pip download' on a machine with an index" >&2
        exit 2
    }
fi
exec "$python" -m benchmarks.gpu "$@"
