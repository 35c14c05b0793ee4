"""Thin lifecycle nodes: parameters, topics, QoS and transitions around the plain code of the other layers."""
