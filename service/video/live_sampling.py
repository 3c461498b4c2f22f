"""Sampling where frames are lost: decisions are made on the frames that somebody has time for."""

from copy import copy

from service.video.frame import Frame
from service.video.sampling import Decision, SampleMode, Sampler, SamplingParameters


class LiveSampling:
    """Decides on the frames of one stream. Not for use by two threads at a time, but for what says otherwise."""

    def __init__(self, parameters: SamplingParameters) -> None:
        self._parameters = parameters
        self._by_time = parameters.sample is SampleMode.EVERY and parameters.fps is not None
        self._sampler: Sampler = parameters.sampler()

    def decide(self, frame: Frame) -> Decision:
        """What happens with a frame; those before it that nobody had time for are as if they had not been."""
        return self._sampler.decide(frame)

    def again(self) -> None:
        """The last frame that was to be processed was not: the next one is."""
        self._sampler = self._parameters.sampler()

    def would_drop(self, frame: Frame) -> bool:
        """Whether it is known already that a frame is not wanted; any thread may ask, and nothing changes by it."""
        return self._by_time and copy(self._sampler).decide(frame) is Decision.DROP

    def replaces(self, frame: Frame, former: Frame) -> bool:
        """Whether nothing is lost where a frame comes instead of an earlier one; any thread may ask."""
        if not self._by_time:
            return False
        sampler = self._parameters.sampler()
        sampler.decide(former)
        return sampler.decide(frame) is Decision.DROP
