"""Which source PulseAudio, or PipeWire in its place, records from for this process.

PortAudio sees a device of ALSA only, behind which the server moves the stream to another microphone when the one it had
is unplugged. So the server is asked, in its own protocol, by its own library (libpulse; the structures below are the
first fields of those in its introspect.h).
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_int, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

_READY, _FAILED = 4, 5  # pa_context_state
_NO_AUTOSPAWN = 1
_SOURCE_OUTPUTS = 0x0008  # pa_subscription_mask
_TIMEOUT_S = 1.0
_POLL_US = 20_000


class _SampleSpec(Structure):
    _fields_ = [('format', c_int), ('rate', c_uint32), ('channels', c_uint8)]


class _ChannelMap(Structure):
    _fields_ = [('channels', c_uint8), ('map', c_int * 32)]


class _SourceOutput(Structure):
    _fields_ = [
        ('index', c_uint32), ('name', c_char_p), ('owner_module', c_uint32), ('client', c_uint32),
        ('source', c_uint32), ('sample_spec', _SampleSpec), ('channel_map', _ChannelMap), ('buffer_usec', c_uint64),
        ('source_usec', c_uint64), ('resample_method', c_char_p), ('driver', c_char_p), ('proplist', c_void_p),
    ]  # fmt: skip


class _SourceInfo(Structure):
    _fields_ = [('name', c_char_p), ('index', c_uint32), ('description', c_char_p)]


_OnSourceOutput = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_SourceOutput), c_int, c_void_p)
_OnSource = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_SourceInfo), c_int, c_void_p)
_OnEvent = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_uint32, c_void_p)
_FUNCTIONS = {
    'pa_mainloop_new': (c_void_p, ()),
    'pa_mainloop_get_api': (c_void_p, (c_void_p,)),
    'pa_mainloop_prepare': (c_int, (c_void_p, c_int)),
    'pa_mainloop_poll': (c_int, (c_void_p,)),
    'pa_mainloop_dispatch': (c_int, (c_void_p,)),
    'pa_mainloop_iterate': (c_int, (c_void_p, c_int, c_void_p)),
    'pa_mainloop_free': (None, (c_void_p,)),
    'pa_context_new': (c_void_p, (c_void_p, c_char_p)),
    'pa_context_connect': (c_int, (c_void_p, c_char_p, c_int, c_void_p)),
    'pa_context_get_state': (c_int, (c_void_p,)),
    'pa_context_disconnect': (None, (c_void_p,)),
    'pa_context_unref': (None, (c_void_p,)),
    'pa_context_subscribe': (c_void_p, (c_void_p, c_int, c_void_p, c_void_p)),
    'pa_context_set_subscribe_callback': (None, (c_void_p, _OnEvent, c_void_p)),
    'pa_context_get_source_output_info_list': (c_void_p, (c_void_p, _OnSourceOutput, c_void_p)),
    'pa_context_get_source_info_by_index': (c_void_p, (c_void_p, c_uint32, _OnSource, c_void_p)),
    'pa_operation_unref': (None, (c_void_p,)),
    'pa_proplist_gets': (c_char_p, (c_void_p, c_char_p)),
}


@dataclass(frozen=True)
class ServerSource:
    """A `ServerSource` is a microphone as the sound server knows it: by a name that lasts, and one for people."""

    name: str
    description: str


class ServerStream:
    """A `ServerStream` is this process's one recording at the sound server, whose source it watches.

    Use it from one thread at a time.
    """

    def __init__(self) -> None:
        """Ask the server. Raises OSError where none answers, or it does not record for this process, once."""
        self._pulse = _library()
        self._loop = self._pulse.pa_mainloop_new()
        self._context = self._pulse.pa_context_new(self._pulse.pa_mainloop_get_api(self._loop), b'audio_capture')
        self._changed = False
        self._on_event = _OnEvent(self._note_change)  # kept: the library holds only its address
        try:
            self._connect()
            source = self._ask()
            if source is None:
                raise OSError('the sound server does not record for this process, or more than once')
        except OSError:
            self.close()
            raise
        self.source = source

    def moved(self) -> bool:
        """Return whether the server has moved the recording to another source since this was asked last.

        `source` is then that one. One that the server does not tell of any more has not been moved, but ended.
        """
        if not self._context:
            return False
        while self._pulse.pa_mainloop_iterate(self._loop, 0, None) > 0:
            pass
        if not self._changed:
            return False
        self._changed = False
        before, now = self.source, self._ask()
        if now is None or now.name == before.name:
            return False
        self.source = now
        return True

    def close(self) -> None:
        """Leave the server."""
        if self._context:
            self._pulse.pa_context_disconnect(self._context)
            self._pulse.pa_context_unref(self._context)
            self._pulse.pa_mainloop_free(self._loop)
            self._context = self._loop = None

    def _note_change(self, *_: Any) -> None:
        self._changed = True

    def _connect(self) -> None:
        state = self._pulse.pa_context_get_state
        if self._pulse.pa_context_connect(self._context, None, _NO_AUTOSPAWN, None) < 0:
            raise OSError('there is no sound server')
        if not self._wait(lambda: state(self._context) >= _READY) or state(self._context) >= _FAILED:
            raise OSError('the sound server does not answer')
        self._pulse.pa_context_set_subscribe_callback(self._context, self._on_event, None)
        self._let_go(self._pulse.pa_context_subscribe(self._context, _SOURCE_OUTPUTS, None, None))

    def _ask(self) -> ServerSource | None:
        own = str(os.getpid()).encode()
        indices: list[int] = []
        found: list[ServerSource] = []
        ended: list[bool] = []

        def on_output(_: Any, output: Any, end: int, __: Any) -> None:
            if end:
                ended.append(True)
            elif self._pulse.pa_proplist_gets(output[0].proplist, b'application.process.id') == own:
                indices.append(output[0].source)

        def on_source(_: Any, source: Any, end: int, __: Any) -> None:
            if end:
                ended.append(True)
            else:
                name, description = source[0].name or b'', source[0].description or b''
                found.append(ServerSource(name.decode(errors='replace'), description.decode(errors='replace')))

        # In variables until the answers are there, and without an answer no more is asked: the library holds only
        # their addresses.
        by_output, by_source = _OnSourceOutput(on_output), _OnSource(on_source)
        operation = self._pulse.pa_context_get_source_output_info_list(self._context, by_output, None)
        if not self._answered(operation, ended) or len(indices) != 1:
            return None
        ended.clear()
        operation = self._pulse.pa_context_get_source_info_by_index(self._context, indices[0], by_source, None)
        return found[0] if self._answered(operation, ended) and found else None

    def _answered(self, operation: int | None, ended: list[bool]) -> bool:
        self._let_go(operation)
        if operation and self._wait(lambda: bool(ended)):
            return True
        self.close()
        return False

    def _wait(self, condition: Callable[[], bool]) -> bool:
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline_s or self._pulse.pa_mainloop_prepare(self._loop, _POLL_US) < 0:
                return False
            if self._pulse.pa_mainloop_poll(self._loop) < 0 or self._pulse.pa_mainloop_dispatch(self._loop) < 0:
                return False
        return True

    def _let_go(self, operation: int | None) -> None:
        if operation:
            self._pulse.pa_operation_unref(operation)


def _library() -> Any:
    """Return libpulse. Raises OSError where it is not installed: then no sound server of its kind is used either."""
    library = ctypes.CDLL('libpulse.so.0')
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
