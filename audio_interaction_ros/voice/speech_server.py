"""A text-to-speech server that understands OpenAI's `POST …/audio/speech`, such as Kokoro-FastAPI or LocalAI.

What is said goes to that machine as text. Its sound is played while it comes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from urllib.parse import urlsplit

from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.voice.engines import EngineError, samples_of
from audio_interaction_ros.voice.manner import Manner

KEY = 'AUDIO_INTERACTION_SPEECH_KEY'  # the environment variable that holds the server's key
_LOOK_EVERY_S = 0.01  # whether it is still wanted
_BLOCK_BYTES = 2_048
_LONGEST_S = 60.0  # of sound for one clause
_RATES = (0.25, 4.0)  # that the protocol allows


class SpeechServerEngine:
    """A `SpeechServerEngine` has a server speak; its voice is 'https://HOST/v1#MODEL/VOICE'.

    It has a rate but no pitch. A key, where the server wants one, is in the environment variable `KEY`.
    """

    rate_hz = 24_000  # of the protocol's format 'pcm'

    def __init__(self, voice: str, timeout_s: float = 10.0) -> None:
        """Have one word said, so that a server that cannot is known at once. Raises EngineError."""
        try:
            import httpx
        except ImportError:
            raise EngineError('a speech server is reached with httpx, which is not installed; install it (pip install '
                              'httpx)') from None  # fmt: skip
        address, _, named = voice.partition('#')
        self._model, _, self._voice = named.partition('/')
        parts = urlsplit(address)
        if parts.scheme not in ('http', 'https') or not parts.hostname or not (self._model and self._voice):
            raise EngineError(
                f"voice is '{voice}'; give a speech server as URL#MODEL/VOICE, such as "
                'http://localhost:8880/v1#kokoro/af_heart'
            )
        self.host, self._url, self._timeout_s = parts.hostname, f'{address.rstrip("/")}/audio/speech', timeout_s
        key = os.environ.get(KEY, '')
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s), headers={'Authorization': f'Bearer {key}'} if key else {}, trust_env=False
        )
        self._loop = asyncio.new_event_loop()
        try:
            if not any(len(block) for block in self.say('a', Manner(), lambda: False)):
                raise EngineError(self._failure('says nothing'))
        except EngineError:
            self.close()
            raise

    def say(self, text: str, manner: Manner, unwanted: Callable[[], bool]) -> Iterator[Samples]:
        """Yield the speech of `text`, float32 blocks [n], while it comes, until it is `unwanted`.

        Raises EngineError where the server cannot be reached, refuses, is silent for too long or goes on for ever.
        """
        blocks = self._blocks(text, manner.rate)
        rest, total = b'', 0
        try:
            while (data := self._next(blocks, unwanted)) is not None:
                total += len(data)
                if total > 2 * self.rate_hz * _LONGEST_S:
                    raise EngineError(self._failure(f'spoke for more than {_LONGEST_S:g} s'))
                data = rest + data
                whole = len(data) & ~1
                rest = data[whole:]
                yield samples_of(data[:whole])
        finally:
            self._loop.run_until_complete(blocks.aclose())

    def close(self) -> None:
        """Let go of the connection."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._client.aclose())
            self._loop.close()

    def _next(self, blocks: AsyncGenerator[bytes, None], unwanted: Callable[[], bool]) -> bytes | None:
        """The next block; None at the end, or where it is unwanted. The loop runs only in here."""

        async def wait() -> bytes | None:
            coming = asyncio.ensure_future(anext(blocks, None))
            while not (await asyncio.wait([coming], timeout=_LOOK_EVERY_S))[0]:
                if unwanted():
                    coming.cancel()
                    await asyncio.wait([coming])
                    return None
            return coming.result()

        return None if unwanted() else self._loop.run_until_complete(wait())

    async def _blocks(self, text: str, rate: float) -> AsyncGenerator[bytes, None]:
        import httpx

        body = {
            'model': self._model, 'voice': self._voice, 'input': text, 'response_format': 'pcm',
            'speed': min(max(rate, _RATES[0]), _RATES[1]),
        }  # fmt: skip
        try:
            async with self._client.stream('POST', self._url, json=body) as response:
                if response.is_error:
                    said = ' '.join((await response.aread())[:200].decode(errors='replace').split())
                    raise EngineError(self._failure(f'answers {response.status_code} ({said})'))
                async for data in response.aiter_bytes(_BLOCK_BYTES):
                    yield data
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise EngineError(self._failure(f'does not answer ({problem})')) from None

    def _failure(self, what: str) -> str:
        return (
            f"the speech server '{self._url}' {what}; see that it runs and has model '{self._model}' and voice "
            f"'{self._voice}', or take engine 'espeak-ng'"
        )
