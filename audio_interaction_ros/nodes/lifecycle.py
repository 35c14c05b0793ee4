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
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from audio_interaction_ros.nodes import qos_overrides
from audio_interaction_ros.nodes.declare import DeclaredParameters
from audio_interaction_ros.nodes.diagnostics import Diagnostics
from audio_interaction_ros.nodes.joining import JoinError, join
from audio_interaction_ros.nodes.parameters import NODES, NodeParameters
from audio_interaction_ros.nodes.qos_events import QosEvents
from audio_interaction_ros.nodes.signals import EndRequest, end_undisturbed, on_signals
from audio_interaction_ros.nodes.standby import turn
from audio_interaction_ros.nodes.worker import Worker, WorkerError

P = TypeVar('P', bound=NodeParameters)
_Result = TransitionCallbackReturn
_ASKED_EVERY_S = 0.2


class ManagedNode(LifecycleNode, Generic[P]):
    """A `ManagedNode` is a lifecycle node with validated parameters and diagnostics.

    Subclasses implement hooks that mirror each other: `setup` and `teardown` (configure, clean up), `start` and
    `stop` (activate, deactivate); and `apply`, for parameters that may change in between. A hook that raises makes its
    transition fail, with the exception's sentence in the log; `stop` and `teardown` then undo what was done, so they
    must bear a half-done `start` or `setup`. Where undoing fails too, everything else is undone all the same, and the
    node is unconfigured.
    Publishers, subscriptions, services and timers made in `setup`, and the thread given to `work` in `start`, are
    undone here.
    """

    NAME: ClassVar[str]

    def __init__(self, also_known: Sequence[str] = ()) -> None:
        """Declare the parameters; `also_known` are names that other nodes in this process understand."""
        self._in_setup = False  # first: rclpy makes publishers, services and timers of its own
        super().__init__(self.NAME)
        self._declared = DeclaredParameters(self, NODES[self.NAME], self._apply, also_known, self._refused)
        self._undo: list[Callable[[], object]] = []
        self._worker: Worker | None = None
        self.active = False
        self.diagnostics = Diagnostics(
            self,
            measurements=lambda: self.measurements() if self.active else {},
            problem=lambda: self.problem() if self.active else '',
            hardware_id=lambda: self.hardware_id() if self.active else 'none',
        )
        self._qos_events = QosEvents(self, self.diagnostics)
        self.parameters: P

    def setup(self) -> None:
        """Make what the node needs, from `parameters`; called at configure.

        Raises ValueError or OSError with a sentence that names the cure.
        """
        raise NotImplementedError

    def teardown(self) -> None:
        """Undo `setup`, also a half-done one; called at clean-up."""

    def start(self) -> None:
        """Begin to work; called at activate, when callbacks already come."""

    def apply(self) -> None:
        """Take live parameters, set while the node is configured, from `parameters`."""

    def refused(self, parameters: P) -> str:
        """Return why the configured node cannot take these parameters, in a sentence; empty where it can."""
        return ''

    def stop(self) -> None:
        """Undo `start`, also a half-done one; called at deactivate, when no callback comes any more."""

    def create_publisher(
        self, msg_type: type[Any], topic: str, qos_profile: QoSProfile | int, **options: Any
    ) -> Publisher:
        """Create a publisher, as rclpy; one made in `setup` reports its QoS events and goes at clean-up."""
        if not self._in_setup:
            return super().create_publisher(msg_type, topic, qos_profile, **options)
        profile = qos_overrides.own(qos_profile)
        publisher = super().create_publisher(
            msg_type,
            topic,
            profile,
            event_callbacks=self._qos_events.of_publisher(topic, profile),
            qos_overriding_options=qos_overrides.options(),
            **options,
        )
        self._undo.append(lambda: self.destroy_publisher(publisher))
        return publisher

    def create_subscription(
        self,
        msg_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos_profile: QoSProfile | int,
        *,
        when_inactive: bool = False,
        **options: Any,
    ) -> Subscription:
        """Create a subscription, as rclpy; one made in `setup` reports its QoS events and goes at clean-up.

        Its callback is called while the node is active, or with `when_inactive` while it is configured: for what is
        latched and would not come again.
        """
        if not self._in_setup:
            return super().create_subscription(msg_type, topic, callback, qos_profile, **options)
        profile = qos_overrides.own(qos_profile)
        subscription = super().create_subscription(
            msg_type,
            topic,
            lambda message: callback(message) if self.active or when_inactive else None,
            profile,
            event_callbacks=self._qos_events.of_subscription(topic, profile),
            qos_overriding_options=qos_overrides.options(),
            **options,
        )
        self._undo.append(lambda: self.destroy_subscription(subscription))
        return subscription

    def create_service(
        self, srv_type: type[Any], srv_name: str, callback: Callable[[Any, Any], Any], **options: Any
    ) -> Service:
        """Create a service, as rclpy; one made in `setup` answers while the node is configured."""
        service = super().create_service(srv_type, srv_name, callback, **options)
        if self._in_setup:
            self._undo.append(lambda: self.destroy_service(service))
        return service

    def create_timer(self, timer_period_sec: float, callback: Callable[[], None], *args: Any, **options: Any) -> Timer:
        """Create a timer, as rclpy; one made in `setup` ticks while the node is active.

        Its clock is steady: whoever sets the time does not change how often it ticks.
        """
        if not self._in_setup:
            return super().create_timer(timer_period_sec, callback, *args, **options)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = super().create_timer(
            timer_period_sec, lambda: callback() if self.active else None, *args, clock=steady, **options
        )
        self._undo.append(lambda: self.destroy_timer(timer))
        return timer

    def work(self, work: Callable[[threading.Event], None]) -> None:
        """Run `work(stop)` in a thread while the node is active; it must return soon after `stop` is set."""
        self._worker = Worker(self.NAME, work)

    def rest(self) -> None:
        """Stop that thread, if there is one. Raises WorkerError when it does not end in time."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def check(self) -> None:
        """Raise the exception that has ended the worker by itself, if one has: a bug, as in a callback."""
        if (worker := self._worker) is not None:
            worker.check()

    def let_go(self, *attributes: str) -> None:
        """Delete these attributes, if they are there, and with them what they hold: for `teardown`."""
        for name in attributes:
            if hasattr(self, name):
                delattr(self, name)

    def measurements(self) -> Mapping[str, object]:
        """Return what diagnostics show of the active node beside the counters."""
        return {}

    def problem(self) -> str:
        """Return what keeps the active node from its job just now, in a sentence; empty where nothing does."""
        return ''

    def hardware_id(self) -> str:
        """Return the device that the active node depends on; 'none' where there is no particular one."""
        return 'none'

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and call `setup`."""
        return self._attempt(self._configure, undo=self._clean_up)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Call `teardown` and destroy what was made in `setup`."""
        return self._attempt(self._clean_up)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let callbacks through and call `start`."""
        return self._attempt(self._activate, undo=self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold callbacks back, stop the worker and call `stop`."""
        return self._attempt(self._deactivate)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up, as far as the node has come."""
        if state.label != 'unconfigured':
            self._attempt(self._clean_up)
        return _Result.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave nothing behind of a transition that failed half-way: the node is unconfigured then."""
        self._attempt(self._clean_up)
        return _Result.SUCCESS

    def autostart(self) -> bool:
        """Configure and activate, unless the parameter `autostart` says no; return False when that failed."""
        if not self.get_parameter('autostart').value:
            return True
        return self.trigger_configure() == _Result.SUCCESS and self.trigger_activate() == _Result.SUCCESS

    def steady_s(self) -> float:
        """Return simulated time in seconds where there is one, else that of a clock that nobody sets."""
        if self.get_parameter('use_sim_time').value:
            return float(self.get_clock().now().nanoseconds) * 1e-9
        return time.monotonic()

    def _configure(self) -> None:
        self.parameters = self._declared.read()  # type: ignore[assignment]
        qos_overrides.require_overrides(self)
        self._declared.changeable = False
        self._in_setup = True
        try:
            self.setup()
        finally:
            self._in_setup = False
        for sentence in qos_overrides.without_effect(self):
            self.get_logger().warning(sentence)

    def _apply(self) -> None:
        self.parameters = self._declared.read()  # type: ignore[assignment]
        self.apply()

    def _refused(self, parameters: NodeParameters) -> str:
        return self.refused(parameters)  # type: ignore[arg-type]

    def _clean_up(self) -> None:
        made, self._undo = self._undo[::-1], []
        deactivate = (self._deactivate,) if self.active else ()
        try:
            self._do_all(*deactivate, self.teardown, self._qos_events.close, self.diagnostics.forget_frequencies, *made)
        finally:
            self._declared.changeable = True

    def _activate(self) -> None:
        self.active = True
        self.start()

    def _deactivate(self) -> None:
        self.active = False
        self._do_all(self.rest, self.stop)

    def _do_all(self, *steps: Callable[[], object]) -> None:
        """Do every step, whatever becomes of the others, and raise the first exception at the end."""
        first: Exception | None = None
        for step in steps:
            try:
                step()
            except Exception as error:
                if first is None:
                    first = error
                else:
                    self._log_failure(error)
        if first is not None:
            raise first

    def _attempt(self, hook: Callable[[], None], undo: Callable[[], None] | None = None) -> TransitionCallbackReturn:
        """Call a hook. One that cannot be undone, or is the undoing itself, is an error: see `on_error`."""
        # Everything is caught here because rclpy would swallow it without a word.
        try:
            hook()
        except Exception as error:
            self._log_failure(error)
            undone = undo is not None and self._attempt(undo) == _Result.SUCCESS
            return _Result.FAILURE if undone else _Result.ERROR
        return _Result.SUCCESS

    def _log_failure(self, error: Exception) -> None:
        # Ours are ValueErrors and OSErrors that name the cure; anything else is a bug and needs its traceback.
        expected = isinstance(error, (ValueError, OSError, WorkerError))
        words = str(error) if expected else ''.join(traceback.format_exception(error))
        self.get_logger().error(words)


class _Spinner:
    """A node's callbacks, in a thread of their own.

    One that raises is a bug, and so is a worker that does: it ends the process, which launch starts anew.
    """

    def __init__(self, node: ManagedNode[Any], end: EndRequest) -> None:
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
                self._node.check()
        except Exception:
            self.failed = True
            self._node.get_logger().fatal(traceback.format_exc())
            self._end.set()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(timeout=5.0)
        self._executor.shutdown()


def run(args: list[str] | None, *classes: type[ManagedNode[Any]]) -> int:
    """Run nodes in this process until SIGINT or SIGTERM, once it is its turn (see standby.py).

    Return the exit status: 0; 1 when ROS or a node could not start, or a callback or a worker failed; 2 for arguments
    that ROS cannot read.
    """
    stop = EndRequest()
    on_signals(stop.set)  # before ROS, which takes a while to join: else Python's exception would come in its middle
    try:
        join(args)
    except JoinError as error:
        print(error, file=sys.stderr)
        return 2 if error.by_arguments else 1
    also_known = sorted({name for cls in classes for name in NODES[cls.NAME].model_fields})
    with turn(classes[0].NAME, stop):
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
