"""The live page's server: on this machine alone, or with a token and TLS beyond it."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.models import Div
from bokeh.server.server import Server
from tornado.ioloop import IOLoop

_MESSAGE_BYTES = 64 * 1024  # of what a viewer's browser sends: clicks
_UNUSED_MS = 10_000  # a page that is closed is forgotten soon


class MonitorError(ValueError):
    """A `MonitorError` says why there can be no page as it was asked for, and what to give."""


@dataclass(frozen=True)
class Access:
    """An `Access` says where the page is served, and who may see it: whoever knows the `token`, if there is one.

    `certificate` and `key` are PEM files. Raises MonitorError where others could see it without a token, or read along.
    """

    address: str
    port: int
    token: str = ''
    certificate: str = ''
    key: str = ''
    most_viewers: int = 5

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise MonitorError('one of certificate and key is given; give both, or neither')
        if self.is_local:
            return
        if len(self.token) < 16 or not self.certificate:
            raise MonitorError(
                f"address is '{self.address}', which others can reach, and they would hear along; give a token of at "
                'least 16 characters, certificate and key, or keep 127.0.0.1 and look through an SSH tunnel'
            )

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return self.address == 'localhost'

    @property
    def url(self) -> str:
        """Return what to type into a browser, without the token."""
        return f'http{"s" if self.certificate else ""}://{self.address}:{self.port}/'


def serve(access: Access, fill: Callable[[Document], None], stop: threading.Event) -> None:
    """Serve the page until `stop`; `fill` makes a viewer's document, in this thread. Raises MonitorError."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    viewers: set[str] = set()

    def make(document: Document) -> None:
        context = document.session_context
        given = (context.request.arguments.get('token') or [b''])[0] if context else b''
        if access.token and not hmac.compare_digest(given, access.token.encode()):
            document.add_root(Div(text='<h1>The token is missing or wrong</h1><p>Open …/?token=THE_TOKEN.</p>'))
            return
        if len(viewers) >= access.most_viewers:
            document.add_root(Div(text=f'<h1>{len(viewers)} are looking</h1><p>No more may; try again later.</p>'))
            return
        if context is not None:
            viewers.add(context.id)
            document.on_session_destroyed(lambda gone: viewers.discard(gone.id))
        fill(document)

    loop = IOLoop.current()
    try:
        server = Server(
            {'/': Application(FunctionHandler(make))},
            io_loop=loop,
            address=access.address,
            port=access.port,
            allow_websocket_origin=[f'{access.address}:{access.port}', f'localhost:{access.port}'],
            websocket_max_message_size=_MESSAGE_BYTES,
            unused_session_lifetime=_UNUSED_MS,
            check_unused_sessions=_UNUSED_MS // 2,
            **({'ssl_certfile': access.certificate, 'ssl_keyfile': access.key} if access.certificate else {}),
        )
    except (OSError, ValueError) as error:
        raise MonitorError(
            f'the page cannot be served at {access.url} ({error}); give another port, or files that hold a '
            'certificate and its key'
        ) from error
    server.start()
    threading.Thread(target=_stop_when, args=(stop, loop), name='monitor stop', daemon=True).start()
    try:
        loop.start()
    finally:
        server.stop()
        server.unlisten()
        loop.close(all_fds=True)


def _stop_when(stop: threading.Event, loop: IOLoop) -> None:
    stop.wait()
    loop.add_callback(loop.stop)


def require_free(access: Access) -> None:
    """Raise MonitorError unless the port can be listened on just now."""
    family = socket.AF_INET6 if ':' in access.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((access.address, access.port))
        except OSError as error:
            raise MonitorError(
                f'{access.address}, port {access.port}, cannot be listened on ({error.strerror}); give another port, '
                'or an address of this machine'
            ) from error
