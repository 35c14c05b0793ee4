"""What the nodes share: symmetric lifecycle callbacks, self-start, clean shutdown."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.signals import SignalHandlerOptions

from audio_interaction_ros.nodes.compatible import publisher_events, subscription_events
from audio_interaction_ros.nodes.declare import DeclaredParameters
from audio_interaction_ros.nodes.diagnostics import Diagnostics
from audio_interaction_ros.nodes.parameters import NODES, NodeParameters
from audio_interaction_ros.nodes.signals import end_undisturbed, on_signals
from audio_interaction_ros.nodes.standby import turn
from audio_interaction_ros.nodes.worker import Worker

P = TypeVar('P', bound=NodeParameters)
_Result = TransitionCallbackReturn
_ASKED_EVERY_S = 0.2


class ManagedNode(LifecycleNode, Generic[P]):
    """A lifecycle node with validated parameters and diagnostics.

    Subclasses implement hooks that mirror each other: `setup` and `teardown` (configure, clean up), `start` and
    `stop` (activate, deactivate); and `apply`, for parameters that may change in between. A hook that raises makes its
    transition fail, with the exception's sentence in the log; `stop` and `teardown` then undo what was done, so they
    must bear a half-done `start` or `setup`.
    Publishers, subscriptions, services and timers made with `publish_on`, `listen_to`, `serve` and `every` in
    `setup`, and the thread given to `work` in `start`, are undone here.
    """

    NAME: ClassVar[str]

    def __init__(self, also_known: Sequence[str] = ()) -> None:
        """`also_known`: parameter names of other nodes in this process."""
        super().__init__(self.NAME)
        self._declared = DeclaredParameters(self, NODES[self.NAME], self._apply, also_known)
        self._undo: list[Callable[[], object]] = []
        self._worker: Worker | None = None
        self.active = False
        self.diagnostics = Diagnostics(
            self,
            measurements=lambda: self.measurements() if self.active else {},
            problem=lambda: self.problem() if self.active else '',
        )
        self.parameters: P

    def setup(self) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        pass

    def start(self) -> None:
        pass

    def apply(self) -> None:
        """Live parameters were set while the node is configured: take them from `parameters`."""

    def stop(self) -> None:
        pass

    def publish_on(self, topic: str, message_type: type[Any], profile: QoSProfile) -> Publisher:
        publisher = self.create_publisher(
            message_type,
            topic,
            profile,
            event_callbacks=publisher_events(self, topic, profile),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._undo.append(lambda: self.destroy_publisher(publisher))
        return publisher

    def listen_to(
        self,
        topic: str,
        message_type: type[Any],
        callback: Callable[[Any], None],
        profile: QoSProfile,
        when_inactive: bool = False,
    ) -> None:
        """`callback` is called while the node is active; and before, for what is latched and would not come again."""
        subscription = self.create_subscription(
            message_type,
            topic,
            lambda message: callback(message) if self.active or when_inactive else None,
            profile,
            event_callbacks=subscription_events(self, topic, profile),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._undo.append(lambda: self.destroy_subscription(subscription))

    def serve(self, service: str, service_type: type[Any], callback: Callable[[Any, Any], Any]) -> None:
        """`callback(request, response)` returns the response; it is called while the node is configured."""
        server = self.create_service(service_type, service, callback)
        self._undo.append(lambda: self.destroy_service(server))

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """`callback` is called while the node is active; whoever sets the clock does not change how often."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(period_s, lambda: callback() if self.active else None, clock=steady)
        self._undo.append(lambda: self.destroy_timer(timer))

    def once(self, callback: Callable[[], None], ready: Callable[[], bool], patience_s: float) -> None:
        """`callback` is called once, when `ready` or when patience is over; asked ten times a second."""
        until = time.monotonic() + patience_s

        def ask() -> None:
            if ready() or time.monotonic() >= until:
                self.destroy_timer(timer)
                callback()

        timer = self.create_timer(0.1, ask, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def work(self, work: Callable[[threading.Event], None]) -> None:
        """Run `work(stop)` in a thread while the node is active; it must return soon after `stop` is set."""
        self._worker = Worker(self.NAME, work)

    def rest(self) -> None:
        """Stop that thread, if there is one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def measurements(self) -> Mapping[str, object]:
        """What diagnostics show beside the counters."""
        return {}

    def problem(self) -> str:
        """What keeps the active node from its job just now, in a sentence; empty where nothing does."""
        return ''

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._configure, undo=self._clean_up)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._clean_up)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._activate, undo=self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._deactivate)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == 'active':
            self._attempt(self._deactivate)
        if state.label != 'unconfigured':
            self._attempt(self._clean_up)
        return _Result.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._attempt(self._clean_up)
        return _Result.SUCCESS

    def autostart(self) -> bool:
        """Configure and activate unless the parameter says no; False when that failed."""
        if not self.get_parameter('autostart').value:
            return True
        return self.trigger_configure() == _Result.SUCCESS and self.trigger_activate() == _Result.SUCCESS

    def steady_s(self) -> float:
        """Simulated time where there is one, else a clock that nobody sets."""
        if self.get_parameter('use_sim_time').value:
            return float(self.get_clock().now().nanoseconds) * 1e-9
        return time.monotonic()

    def _configure(self) -> None:
        self.parameters = self._declared.read()  # type: ignore[assignment]
        self._declared.changeable = False
        self.setup()

    def _apply(self) -> None:
        self.parameters = self._declared.read()  # type: ignore[assignment]
        self.apply()

    def _clean_up(self) -> None:
        self.teardown()
        while self._undo:
            self._undo.pop()()
        self._declared.changeable = True

    def _activate(self) -> None:
        self.active = True
        self.start()

    def _deactivate(self) -> None:
        self.active = False
        self.rest()
        self.stop()

    def _attempt(self, hook: Callable[[], None], undo: Callable[[], None] | None = None) -> TransitionCallbackReturn:
        # Everything is caught here because rclpy would swallow it without a word.
        try:
            hook()
        except Exception as error:
            # Ours are ValueErrors and OSErrors that name the cure; anything else is a bug and needs its traceback.
            expected = isinstance(error, (ValueError, OSError))
            self.get_logger().error(str(error) if expected else traceback.format_exc())
            if undo is not None:
                self._attempt(undo)
            return _Result.FAILURE
        return _Result.SUCCESS


class _Spinner:
    """A node's callbacks, in a thread of their own.

    One that raises is a bug: it ends the process, which launch starts anew.
    """

    def __init__(self, node: ManagedNode[Any], end: threading.Event) -> None:
        self._node, self._end, self.failed = node, end, False
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        # Asked to end, not shut down: an executor that is shut down while it waits destroys what it waits for.
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=f'{node.get_name()} executor', daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            while not self._over.is_set():  # rclpy's wait for a future adds a callback to it at every turn, for ever
                self._executor.spin_once(timeout_sec=_ASKED_EVERY_S)
        except Exception:
            self.failed = True
            self._node.get_logger().fatal(traceback.format_exc())
            self._end.set()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=5.0)
        self._executor.shutdown()


def run(args: list[str] | None, *classes: type[ManagedNode[Any]]) -> int:
    """Run nodes in this process until SIGINT or SIGTERM, once it is its turn (see standby.py). The exit status: 0,
    1 when one could not start or a callback failed, 2 for arguments that ROS cannot read."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy has no common class for these
        print(f'ROS cannot read the arguments: {error}', file=sys.stderr)
        return 2
    stop = threading.Event()
    also_known = sorted({name for cls in classes for name in NODES[cls.NAME].model_fields})
    with turn(classes[0].NAME):
        on_signals(lambda *_: stop.set())
        nodes = [cls(also_known) for cls in classes]
    started = all(stop.is_set() or node.autostart() for node in nodes)
    if started:
        spinners = [_Spinner(node, stop) for node in nodes]
        stop.wait()
        for spinner in spinners:
            spinner.stop()
        started = not any(spinner.failed for spinner in spinners)
    for node in nodes:
        node.trigger_shutdown()
        node.destroy_node()
    rclpy.shutdown()
    end_undisturbed()
    return 0 if started else 1
