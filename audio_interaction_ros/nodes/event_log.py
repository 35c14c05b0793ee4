"""event_log: counts what is said, raised and cancelled; with a path, keeps it with its evidence and answers for it.

Without a path nothing reaches the disk. Sound is listened to only where audio_s is above 0.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from std_msgs.msg import String

from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.events.explain import explain, printable
from audio_interaction_ros.events.export import export_flagged, export_folder
from audio_interaction_ros.events.log import EntryKind, EventLog, EventLogError, FlagVerdict, LogEntry, Retention
from audio_interaction_ros.events.rates import HOUR_S, HourlyCount
from audio_interaction_ros.events.sound import SoundKeeper
from audio_interaction_ros.msg import Decision, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.listening import Listening
from audio_interaction_ros.nodes.messages import event_message, nanoseconds_of
from audio_interaction_ros.nodes.parameters import EventLogParameters
from audio_interaction_ros.nodes.sound import SoundSubscription
from audio_interaction_ros.safety.hazards import Severity
from audio_interaction_ros.safety.policy import AlertState, HeardBy
from audio_interaction_ros.srv import DeleteEvents, ExplainEvent, ExportEvents, FlagEvent, ListEvents

_DEFAULT_LISTED, _MAX_LISTED = 100, 500
_TIDY_S = 60.0


class EventLogNode(ManagedNode[EventLogParameters]):
    """An `EventLogNode` makes one entry of a response, from its decision to its text, and one of an alert."""

    NAME = 'event_log'
    _log: EventLog | None = None

    def setup(self) -> None:
        """Open the log, if one is to be kept, and make the topics and the services."""
        given = self.parameters
        if given.path:
            self._log = EventLog(Path(given.path).expanduser(), Retention(given.keep_days, given.max_mb))
            self.create_timer(_TIDY_S, lambda: self._guarded(self._open_log().tidy))
        self._interruptions, self._cancels, self._alerts = HourlyCount(), HourlyCount(), HourlyCount()
        # Not the latched alerts of before: what was deleted from the log would come back.
        self.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, qos.EVENTS)
        self._told: dict[str, str] = {}
        self.create_subscription(String, 'ai/told', self._on_told, qos.LATCHED, when_inactive=True)
        self.create_subscription(Decision, 'ai/decision', self._on_decision, qos.EVENTS)
        self.create_subscription(Response, 'ai/response', self._on_response, qos.EVENTS)
        self._sound: SoundKeeper | None = None
        if self._log is not None and given.audio_s:
            self._listen_to_sound(self._log, given)
        for name, service_type, answer in (
            ('list', ListEvents, self._on_list),
            ('explain', ExplainEvent, self._on_explain),
            ('flag', FlagEvent, self._on_flag),
            ('export', ExportEvents, self._on_export),
            ('delete', DeleteEvents, self._on_delete),
        ):
            self.create_service(service_type, f'ai/events/{name}', _answering(answer))

    def teardown(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def stop(self) -> None:
        """Write the sound that is wanted and forget the rest."""
        self._forget()

    def measurements(self) -> Mapping[str, object]:
        """Return what happened in the last hour, and the size of the log."""
        now_s = time.monotonic()
        rates = {
            'interruptions_per_hour': self._interruptions.within_hour(now_s),
            'cancels_per_hour': self._cancels.within_hour(now_s),
            'alerts_per_hour': self._alerts.within_hour(now_s),
        }
        rates['rates_missed'] = sum(rate.dropped for rate in (self._interruptions, self._cancels, self._alerts))
        if self._log is None:
            return rates
        hour_ago_ns = time.time_ns() - int(HOUR_S * 1e9)
        try:
            kept: dict[str, object] = {
                'flags_per_hour': self._log.flags_since(hour_ago_ns),
                'events': self._log.count,
                'events_expired': self._log.expired,
                'log_mb': f'{self._log.size_bytes / 1e6:.3f}',
            }
            if self._sound is not None:
                kept |= {'sounds_dropped': self._sound.dropped, 'unread_messages': self._heard.unread}
        except EventLogError as error:
            self.diagnostics.trouble('log_errors', str(error))
            return rates
        return {**rates, **kept}

    def _on_told(self, message: String) -> None:
        """What a response was told is evidence: the instruction in its words, the context by its names alone."""
        try:
            told = json.loads(message.data)
            instruction, context = str(told['instruction']), ', '.join(told['context'])
        except (ValueError, TypeError, KeyError, RecursionError):
            self.diagnostics.trouble(
                'refused_told', 'ai/told holds something else than decoder publishes; end all others that publish it'
            )
            return
        self._told = {name: text for name, text in (('told', instruction), ('context', context)) if text}

    def _on_decision(self, decision: Decision) -> None:
        if decision.decision != Decision.RESPONSE:
            return
        evidence = {
            'stream_id': decision.stream_id,
            'chunk_index': decision.chunk_index,
            'chunks_drained': decision.chunks_drained,
            'level_dbfs': decision.level_dbfs,
            'checkpoint_digest': decision.checkpoint_digest,
            **self._told,
        }
        id_ = f'{decision.stream_id}-{decision.chunk_index}'
        self._keep(EntryKind.RESPONSE, id_, decision.header, '', decision.probability, evidence)

    def _on_response(self, response: Response) -> None:
        if not response.final:
            return
        self._interruptions.add(response.id, time.monotonic())
        if response.cancelled:
            self._cancels.add(response.id, time.monotonic())
        evidence = {
            'stream_id': response.stream_id,
            'chunk_index': response.trigger_chunk,
            'emotion': response.emotion,
            'cancelled': response.cancelled,
        }
        self._keep(EntryKind.RESPONSE, response.id, response.header, response.text, response.probability, evidence)

    def _on_alert(self, alert: SafetyAlert) -> None:
        if alert.state == SafetyAlert.CLEARED:
            if (log := self._log) is not None:
                cleared = {'state': AlertState.CLEARED.name}
                self._guarded(lambda: log.add_evidence(EntryKind.ALERT, alert.id, cleared))
            return
        self._alerts.add(alert.id, time.monotonic())
        evidence = {
            'hazard': alert.hazard,
            'severity': _name(Severity, alert.severity),
            'state': _name(AlertState, alert.state),
            'heard_by': _name(HeardBy, alert.heard_by),
            'response_id': alert.response_id,
        }
        self._keep(EntryKind.ALERT, alert.id, alert.header, alert.message, alert.confidence, evidence)

    def _keep(
        self, kind: EntryKind, id_: str, header: Any, text: str, probability: float, evidence: Mapping[str, object]
    ) -> None:
        if (log := self._log) is None:
            return

        def keep() -> None:
            stamp_ns = nanoseconds_of(header.stamp)
            event = log.log(kind, id_, stamp_ns, header.frame_id, text, probability, evidence)
            if self._sound is not None:
                self._sound.want(event, time.monotonic())

        self._guarded(keep)

    def _listen_to_sound(self, log: EventLog, given: EventLogParameters) -> None:
        self._sound = SoundKeeper(log, given.audio_s)
        self._listening = Listening(self, self._forget)
        self._heard = SoundSubscription(self, given, self._on_audio, ', so no sound is kept')
        self.create_timer(1.0, self._keep_ready)

    def _on_audio(self, message: Any) -> None:
        if (keeper := self._sound) is None or not self._listening.on or self._heard.awaits_format():
            return

        def keep(samples: Samples, pcm: PcmFormat, stamp_ns: int) -> None:
            keeper.push(samples, pcm, stamp_ns, time.monotonic())

        self._guarded(lambda: self._heard.take(message, keep, keeper))

    def _keep_ready(self) -> None:
        if (sound := self._sound) is not None:
            self._guarded(lambda: sound.keep_ready(time.monotonic()))

    def _forget(self) -> None:
        if (sound := self._sound) is not None:
            self._guarded(sound.forget)

    def _guarded(self, work: Callable[[], object]) -> None:
        """A full disk must not end the node."""
        try:
            work()
        except EventLogError as error:
            self.diagnostics.trouble('log_errors', str(error))

    def _open_log(self) -> EventLog:
        if self._log is None:
            raise EventLogError('no event log is kept; set path of event_log, or start with event_log:=FILE')
        return self._log

    def _on_list(self, request: Any, response: Any) -> None:
        limit = min(request.limit or _DEFAULT_LISTED, _MAX_LISTED)
        events = self._open_log().newest(limit, request.before_id, request.flagged_only)
        response.events = [event_message(event) for event in events]
        response.message = f'{len(events)} events'

    def _on_explain(self, request: Any, response: Any) -> None:
        event = self._open_log().get(request.id)
        response.event = event_message(event)
        response.message = explain(event)

    def _on_flag(self, request: Any, response: Any) -> None:
        log = self._open_log()
        if request.verdict not in set(FlagVerdict):
            raise EventLogError(f'verdict {request.verdict} found; give NONE (0), FALSE_ALARM (1) or WRONG_WORDS (2)')
        event = log.flag(request.id, FlagVerdict(request.verdict), request.heard)
        response.message = f'event {event.id} is {event.verdict.name}: {_short(event)}'

    def _on_export(self, request: Any, response: Any) -> None:
        log = self._open_log()
        folder = export_folder(log, request.name)
        response.clips, without = export_flagged(log, folder)
        response.folder = str(folder)
        response.message = f"{response.clips} clips in '{folder}'; {without} flagged events have no sound"

    def _on_delete(self, request: Any, response: Any) -> None:
        log = self._open_log()
        if bool(request.ids) == request.all:
            raise EventLogError('ids and all contradict each other or are both missing; give ids, or all alone')
        response.deleted = log.delete(None if request.all else request.ids)
        response.message = f'{response.deleted} events deleted'


def _answering(answer: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    """A service's callback: `answer` fills the response in; what it refuses becomes its sentence."""

    def callback(request: Any, response: Any) -> Any:
        try:
            answer(request, response)
            response.success = True
        except EventLogError as error:
            response.success, response.message = False, printable(str(error))
        return response

    return callback


def _name(enumeration: Any, value: int) -> str:
    """A message may hold any number."""
    return enumeration(value).name if value in enumeration.__members__.values() else str(value)


def _short(event: LogEntry) -> str:
    return printable(event.text if len(event.text) <= 80 else f'{event.text[:79]}…')


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, EventLogNode)


if __name__ == '__main__':
    sys.exit(main())
