"""Named QoS profiles, one a kind of topic."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=durability
    )


# 5 to 25 s of blocks. A listener that has not quite found the writer asks for what it missed at the writer's next
# heartbeat, seconds later; what is no longer kept by then is lost.
AUDIO = _profile(250, DurabilityPolicy.VOLATILE)
EMBEDDINGS = _profile(50, DurabilityPolicy.VOLATILE)  # 20 s of chunks
EVENTS = _profile(50, DurabilityPolicy.VOLATILE)  # decisions and responses
LATCHED = _profile(1, DurabilityPolicy.TRANSIENT_LOCAL)  # the format of a stream, its end
SWITCH = _profile(10, DurabilityPolicy.TRANSIENT_LOCAL)  # what is latched, and no change of it missed
ALERTS = _profile(10, DurabilityPolicy.TRANSIENT_LOCAL)  # a late subscriber learns what is going on
DIAGNOSTICS = _profile(10, DurabilityPolicy.VOLATILE)
