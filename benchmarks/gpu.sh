#!/bin/sh
# Build, certify and time TensorRT plans of a repository's models on the GPU of this machine, within eight minutes.
#
#     benchmarks/gpu.sh [MODEL…] [--engine tensorrt-rtx] [--precision fp32 fp16] [--output gpu.json]
#
# Needs: NVIDIA's driver, Python 3.11, vitrail[cpu,build,rtx] (or vitrail[gpu,build] for --engine tensorrt), and a
# model repository. Where no package index can be reached, WHEELS names a folder of wheels to
# install from (hatchling must be among them). What is missing is named, in the JSON too.
set -eu

cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

# What the JSON would be written to, for the case that Python cannot do it.
output=gpu.json previous=
for argument; do
    [ "$previous" = --output ] && output=$argument
    previous=$argument
done

missing() {
    echo "missing: $1" >&2
    printf '{\n  "missing": [\n    "%s"\n  ]\n}\n' "$1" >"$output"
    exit 2
}

command -v "$python" >/dev/null 2>&1 || missing "Python ($python): set PYTHON"
if [ -n "${WHEELS:-}" ]; then
    packages="vitrail[${EXTRAS:-cpu,build,rtx}] @ file://$PWD"
    "$python" -m pip install --quiet --no-index --find-links "$WHEELS" "$packages" ||
        missing "a wheel in $WHEELS (see above): fill it by 'pip download' on a machine with an index"
fi
exec "$python" -m benchmarks.gpu "$@"
