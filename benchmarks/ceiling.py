"""The least that the work can cost: decode, preprocess and session in a bare loop, in a process of its own.

    python -m benchmarks.ceiling VERSION_FOLDER PHOTOGRAPHS_FOLDER --threads 2 --seconds 4

prints JSON: images a second, CPU milliseconds an image, and the median latency of one image in milliseconds.
"""

import argparse
import json
import statistics
import threading
import time
from itertools import count
from pathlib import Path

import onnxruntime as ort

from contract.card import ModelCard
from contract.image import decode
from contract.preprocess import preprocess
from service.allocator import keep_freed_memory


def measure(version: Path, photographs: Path, threads: int, seconds: float) -> dict[str, float]:
    """Run ``threads`` callers with one thread each for ``seconds``, with the allocator as the service sets it."""
    keep_freed_memory(max(2, threads))
    card = ModelCard.model_validate_json((version / "card.json").read_bytes())
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(version / "model.onnx"), options, providers=["CPUExecutionProvider"])
    files = [path.read_bytes() for path in sorted(photographs.glob("*.jpg"))]
    latencies: list[float] = []

    def one(index: int) -> None:
        pixels, _ = preprocess(decode(files[index % len(files)]), card.preprocess)
        session.run(None, {card.input.name: pixels[None]})

    def caller(end: float, offset: int) -> None:
        for index in count(offset):
            begun = time.perf_counter()
            if begun > end:
                return
            one(index)
            latencies.append(time.perf_counter() - begun)

    for index in range(8):
        one(index)
    begun, cpu = time.perf_counter(), time.process_time()
    callers = [threading.Thread(target=caller, args=(begun + seconds, 7 * n)) for n in range(threads)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    elapsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "images_per_s": len(latencies) / elapsed,
        "cpu_ms": cpu / len(latencies) * 1e3,
        "p50_ms": statistics.median(latencies) * 1e3,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.version, arguments.photographs, arguments.threads, arguments.seconds)))


if __name__ == "__main__":
    main()
