"""The least that a video can cost: decode, preprocess and session in a pipeline of bare threads, in its own process.

    python -m benchmarks.video_ceiling VERSION_FOLDER CLIP --threads 2 --batch 3 --decoders 1

One thread demuxes and decodes and is a few frames ahead; the others, one a processor, take as many frames as the
batch has, convert them to RGB, preprocess them, and run the session with one thread each. What is found is thrown
away: nothing is postprocessed, tracked or written. The allocator is set as the service sets it. Prints JSON: frames
a second, CPU milliseconds a frame, and the frames.
"""

import argparse
import json
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import onnxruntime as ort

from contract.card import ModelCard
from contract.preprocess import Pixels, preprocess
from service.allocator import keep_freed_memory

Frames = queue.Queue[av.VideoFrame | None]


@dataclass(frozen=True)
class Pipeline:
    """A model, and how it is run."""

    card: ModelCard
    session: ort.InferenceSession
    threads: int
    """That preprocess and run the session."""
    batch: int
    """Frames in a batch; fewer where the video ends."""
    decoders: int
    """FFmpeg's threads; 0 is one a processor."""

    def run(self, clip: Path) -> tuple[int, float, float]:
        """Frames of a clip, the seconds it took, and the CPU seconds."""
        frames: Frames = queue.Queue(2 * self.batch * self.threads)
        counts: list[int] = []
        begun, cpu = time.perf_counter(), time.process_time()
        threads = [threading.Thread(target=self._decode, args=(clip, frames))]
        threads += [threading.Thread(target=self._work, args=(frames, counts)) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts), time.perf_counter() - begun, time.process_time() - cpu

    def _decode(self, clip: Path, frames: Frames) -> None:
        try:
            with av.open(str(clip)) as container:
                context = container.streams.video[0].codec_context
                context.thread_count, context.thread_type = self.decoders, "AUTO"
                for frame in container.decode(video=0):
                    frames.put(frame)
        finally:
            for _ in range(self.threads):
                frames.put(None)

    def _work(self, frames: Frames, counts: list[int]) -> None:
        while batch := self._gathered(frames):
            ready = [preprocess(_pixels(frame), self.card.preprocess)[0] for frame in batch]
            while ready:
                size = max(size for size in self.card.batch_sizes if size <= len(ready))
                self.session.run(None, {self.card.input.name: np.stack(ready[:size])})
                ready = ready[size:]
            counts.append(len(batch))

    def _gathered(self, frames: Frames) -> list[av.VideoFrame]:
        """The next frames, as many as a batch has; fewer, or none, at the end."""
        batch: list[av.VideoFrame] = []
        while len(batch) < self.batch:
            frame = frames.get()
            if frame is None:
                # For this thread's next look.
                frames.put(None)
                break
            batch.append(frame)
        return batch


def _pixels(frame: av.VideoFrame) -> Pixels:
    """RGB uint8 [H, W, 3]."""
    return np.asarray(frame.to_ndarray(format="rgb24", threads=1), np.uint8)


def opened(version: Path, threads: int, batch: int, decoders: int) -> Pipeline:
    """A pipeline with the model of a version folder, in memory."""
    card = ModelCard.model_validate_json((version / "card.json").read_bytes())
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(version / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return Pipeline(card, session, threads, batch, decoders)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--decoders", type=int, default=1)
    parser.add_argument("--warm-up", type=Path, help="a clip that is run before, and not counted")
    arguments = parser.parse_args()
    keep_freed_memory(max(2, arguments.threads))
    pipeline = opened(arguments.version, arguments.threads, arguments.batch, arguments.decoders)
    if arguments.warm_up is not None:
        pipeline.run(arguments.warm_up)
    frames, seconds, cpu_s = pipeline.run(arguments.clip)
    print(json.dumps({"frames_per_s": frames / seconds, "cpu_ms": cpu_s / frames * 1e3, "frames": frames}))


if __name__ == "__main__":
    main()
