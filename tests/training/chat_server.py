"""A real OpenAI-compatible server on this machine that gives the answers a test lays out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Say:
    """One HTTP answer: a chat completion with `content`, unless `body` replaces it whole."""

    content: str = ''
    status: int = 200
    delay_s: float = 0.0
    body: bytes | None = None
    missing_bytes: int = 0  # promised in the header and not sent
    finish_reason: str = 'stop'
    tokens: tuple[int, int] | None = (100, 20)
    headers: dict[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        if self.body is not None:
            return self.body
        message = {'role': 'assistant', 'content': self.content}
        completion = {
            'id': 'x',
            'object': 'chat.completion',
            'created': 0,
            'model': 'local',
            'choices': [{'index': 0, 'message': message, 'finish_reason': self.finish_reason}],
        }
        if self.tokens:
            completion['usage'] = {
                'prompt_tokens': self.tokens[0],
                'completion_tokens': self.tokens[1],
                'total_tokens': sum(self.tokens),
            }
        return json.dumps(completion).encode()


@dataclass
class ChatServer:
    """`requests` are the bodies received, with the time of each in `at_s`; `reply` answers the nth."""

    reply: Callable[[int, dict], Say]
    url: str = ''
    requests: list[dict] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)


@contextmanager
def chat_server(reply: Callable[[int, dict], Say] | list[Say]) -> Iterator[ChatServer]:
    """Serves `reply`, or a list one by one, whose last answer is given for ever."""
    if isinstance(reply, list):
        answers = reply
        reply = lambda number, request: answers[min(number, len(answers) - 1)]  # noqa: E731
    state = ChatServer(reply)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers['content-length'])))
            with lock:
                number = len(state.requests)
                state.requests.append(request | {'path': self.path, 'key': self.headers['authorization']})
                state.at_s.append(time.monotonic())
            say = state.reply(number, request)
            time.sleep(say.delay_s)
            payload = say.payload()
            try:
                self.send_response(say.status)
                self.send_header('content-type', 'application/json')
                self.send_header('content-length', str(len(payload) + say.missing_bytes))
                for name, value in say.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up, which is what some tests are about
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01})
    thread.start()
    state.url = f'http://127.0.0.1:{server.server_port}/v1'
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
