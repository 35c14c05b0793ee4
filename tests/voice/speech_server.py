"""A real server on this machine that speaks as OpenAI's `POST …/audio/speech` does, or as badly as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

RATE_HZ = 24_000


class SpeechServer:
    """It hums 50 ms for each character; `manner` is 'well', 'refuses', 'silent', 'slow', 'endless' or 'empty'."""

    def __init__(self) -> None:
        self.manner = 'well'
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.gone = threading.Event()  # a listener closed the connection
        self.stop = threading.Event()
        self.url = ''

    def voice(self, named: str = 'tiny/hum') -> str:
        return f'{self.url}/v1#{named}'


@contextmanager
def speech_server() -> Iterator[SpeechServer]:
    it = SpeechServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            it.requests.append(body)
            it.keys.append(self.headers.get('Authorization'))
            if it.manner == 'refuses' or self.path != '/v1/audio/speech':
                self.send_response(401)
                self.send_header('Content-Length', '9')
                self.end_headers()
                self.wfile.write(b'no key\n\n\n')
                return
            if it.manner == 'silent':
                it.stop.wait(30.0)
                return
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            try:
                for block in self._blocks(body):
                    self.wfile.write(b'%x\r\n%b\r\n' % (len(block), block))
                    if it.manner == 'slow' and it.stop.wait(0.2):
                        return
                self.wfile.write(b'0\r\n\r\n')
            except OSError:
                it.gone.set()
                self.close_connection = True

        def _blocks(self, body: dict[str, Any]) -> Iterator[bytes]:
            seconds = {'empty': 0.0, 'endless': 1e6}.get(it.manner, 0.05 * len(body['input']) / body['speed'])
            hum = 8_000 * np.sin(2 * np.pi * 400 * np.arange(RATE_HZ) / RATE_HZ)
            second, at = hum.astype('<i2').tobytes(), 0
            while at < 2 * round(seconds * RATE_HZ):
                block = second[at % len(second) :][:2_401]  # an odd number of bytes: a sample may be cut anywhere
                yield block
                at += len(block)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    it.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield it
    finally:
        it.stop.set()
        server.shutdown()
        thread.join(10.0)
        server.server_close()
