"""Which channels of a microphone are used, and whether they cancel when they are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.audio.formats import MAX_CHANNELS, AudioFormatError, PcmFormat
from audio_interaction_ros.audio.levels import power_dbfs

_MIX = 'mix'
_WINDOW_S = 0.5
_WINDOWS = 4  # with sound in them, one after the other, before anything is said
_HEARD_DBFS = -75.0
# Averaging takes 10 log10(n) dB from channels that have nothing in common; so much more is neither chance nor an echo.
_CANCELLED_DB = 12.0


@dataclass(frozen=True)
class ChannelChoice:
    """A `ChannelChoice` is what to publish of a source: all of its channels, some, or with `mix` their average.

    `numbers` count from 0; empty means all.
    """

    numbers: tuple[int, ...] = ()
    mix: bool = False

    @classmethod
    def parse(cls, text: str | int) -> ChannelChoice:
        """Return the choice for '' (all), 0, '0,1' or 'mix'. Raises AudioFormatError for anything else."""
        words = [word.strip() for word in str(text).split(',')]
        if words == ['']:
            return cls()
        if [word.lower() for word in words] == [_MIX]:
            return cls(mix=True)
        if all(word.isdecimal() and int(word) < MAX_CHANNELS for word in words) and len(set(words)) == len(words):
            return cls(tuple(int(word) for word in words))
        raise AudioFormatError(
            f"channels is '{text}'; give the number of a channel (0 is the first), several with commas between (0,1), "
            f"'{_MIX}' for the average of all, or nothing for the channels as the device gives them"
        )

    @property
    def given(self) -> bool:
        """Return whether anything was chosen, so that the source has to give its channels apart."""
        return self.mix or bool(self.numbers)

    def numbers_of(self, channels: int) -> tuple[int, ...]:
        """Return which of so many channels are chosen. Raises AudioFormatError where there are too few."""
        if self.needed > channels:
            last = channels - 1
            raise AudioFormatError(
                f'channel {self.needed - 1} was asked for and there are {channels}; set channels to '
                f'{"0" if not last else f"numbers from 0 to {last}"}'
            )
        return self.numbers or tuple(range(channels))

    @property
    def needed(self) -> int:
        """Return how many channels the source must have."""
        return max(self.numbers, default=0) + 1


ALL = ChannelChoice()


@dataclass(frozen=True)
class Averaging:
    """An `Averaging` holds what averaging does to the level of channels, in dBFS, over a while.

    `each_dbfs` is the mean power of the channels, `average_dbfs` that of their average; `instead` is a channel that can
    be used alone.
    """

    channels: int
    each_dbfs: float
    average_dbfs: float
    instead: int

    @classmethod
    def of(cls, powers: npt.NDArray[np.float64], average: float, numbers: Sequence[int] = ()) -> Averaging:
        """Return it for the power of each channel, float64 [channels], and of their average, all without DC.

        `numbers` are the channels' own, where they are not counted from 0.
        """
        alone = int(np.argmax(powers > powers.max() / 4.0))  # the first that is about as loud as the loudest
        instead = numbers[alone] if numbers else alone
        return cls(len(powers), power_dbfs(float(powers.mean())), power_dbfs(average), instead)

    @property
    def loss_db(self) -> float:
        """Return by how much averaging lowers the level."""
        return self.each_dbfs - self.average_dbfs

    @property
    def heard(self) -> bool:
        """Return whether the channels are loud enough to say anything of them."""
        return self.each_dbfs > _HEARD_DBFS

    @property
    def cancels(self) -> bool:
        """Return whether next to nothing is left of sound that there is."""
        return self.heard and self.loss_db > 10.0 * np.log10(self.channels) + _CANCELLED_DB

    @property
    def sentence(self) -> str:
        """Return what is said where the channels cancel."""
        return (
            f'the {self.channels} channels cancel when they are averaged: {self.each_dbfs:.0f} dBFS before, '
            f'{self.average_dbfs:.0f} dBFS after; one of them is the opposite of another: take channel {self.instead} '
            'alone (channels of audio_capture, --channels of listen and ask), or mend the cable'
        )


class ChannelPicker:
    """A `ChannelPicker` takes the chosen channels out of 16-bit sound, and measures what averaging does to them.

    Whoever listens averages what is published, so it is measured without `mix` too. But then whoever listens can
    measure it as well, and says so (`LevelWatch`); with `mix` nobody else can, and `cancellation` is there to be said.
    """

    def __init__(self, choice: ChannelChoice, source: PcmFormat) -> None:
        """Take a source's format, S16LE. Raises AudioFormatError where it has too few channels."""
        self._source, self._choice = source, choice
        self._numbers = choice.numbers_of(source.channels)
        self.pcm = PcmFormat(source.sample_rate_hz, 1 if choice.mix else len(self._numbers), source.sample_format)
        self._watched = len(self._numbers) > 1
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._frames = 0
        self._cancelling = 0
        self.loss_db: float | None = None  # by averaging, in the last half second with sound in it
        self.cancellation: Averaging | None = None

    def pick(self, data: bytes) -> bytes:
        """Return the chosen channels, S16LE, of interleaved S16LE bytes."""
        if not self._watched and len(self._numbers) == self._source.channels:
            return data
        samples = np.frombuffer(data, '<i2').reshape(-1, self._source.channels)[:, list(self._numbers)]
        if self._watched:
            self._watch(samples)
        if self._choice.mix:
            samples = np.rint(samples.mean(axis=1)).astype('<i2')
        return samples.tobytes()

    def _watch(self, samples: npt.NDArray[np.int16]) -> None:
        self._pieces.append(samples)
        self._frames += len(samples)
        if self._frames < self._source.sample_rate_hz * _WINDOW_S:
            return
        window = np.concatenate(self._pieces).astype(np.float64) / 32_768.0
        self._pieces, self._frames = [], 0
        window -= window.mean(axis=0)  # DC is no sound
        powers = np.square(window).mean(axis=0)
        averaging = Averaging.of(powers, float(np.square(window.mean(axis=1)).mean()), self._numbers)
        if not averaging.heard:
            return
        self.loss_db = averaging.loss_db
        cancels = self._choice.mix and averaging.cancels
        self._cancelling = min(self._cancelling + 1, _WINDOWS) if cancels else max(self._cancelling - 1, 0)
        if self._cancelling == _WINDOWS:
            self.cancellation = averaging
        elif not self._cancelling:
            self.cancellation = None
