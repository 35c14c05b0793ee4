"""From the parameter classes to ROS: declaring with descriptors, and guarding later changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from audio_interaction_ros.nodes.parameters import NodeParameters, ParameterError, bounds, is_live, validated


class DeclaredParameters:
    """A `DeclaredParameters` declares the parameters of a class on a node, also when a given value is wrong.

    So `ros2 param` shows them in any case.

    While `changeable` all can be set; otherwise those that are live, unless `refused` gives a reason against them, and
    `applied` is called after that.
    """

    def __init__(
        self,
        node: Node,
        cls: type[NodeParameters],
        applied: Callable[[], None],
        also_known: Iterable[str] = (),
        refused: Callable[[NodeParameters], str] = lambda parameters: '',
    ) -> None:
        self._refused = refused
        self._node = node
        self._cls = cls
        self.changeable = True
        # rclpy ignores overrides of undeclared names without a word, and raises on the first unfitting one.
        given = {name: parameter.value for name, parameter in node._parameter_overrides.items()}
        self._complaint: ParameterError | None = None
        values = validated(cls, {})
        try:
            values = validated(cls, given, also_known)
        except ParameterError as error:
            self._complaint = error
        for name, field in cls.model_fields.items():
            node.declare_parameter(name, getattr(values, name), _descriptor(name, field), ignore_override=True)
        node.add_on_set_parameters_callback(self._check_change)
        node.add_post_set_parameters_callback(lambda changes: None if self.changeable else applied())

    def read(self) -> NodeParameters:
        """Return the values now. Raises ParameterError if those given at start were wrong."""
        if self._complaint is not None:
            raise self._complaint
        return validated(self._cls, {name: self._node.get_parameter(name).value for name in self._cls.model_fields})

    def _check_change(self, changes: list[Parameter]) -> SetParametersResult:
        ours = {parameter.name: parameter.value for parameter in changes if parameter.name in self._cls.model_fields}
        if not self.changeable and (fixed := [name for name in ours if not is_live(self._cls.model_fields[name])]):
            return SetParametersResult(
                successful=False,
                reason=f'{", ".join(fixed)}: read at configure; deactivate and clean up the node first',
            )
        try:
            current: dict[str, Any] = {name: self._node.get_parameter(name).value for name in self._cls.model_fields}
            wanted = validated(self._cls, current | ours)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not self.changeable and (reason := self._refused(wanted)):
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)


def _descriptor(name: str, field: Any) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=name, description=field.description, read_only=name == 'autostart',
        dynamic_typing=field.annotation == str | int,
    )  # fmt: skip
    low, high = bounds(field)
    if field.annotation is int and low is not None and high is not None:
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    elif field.annotation is float and low is not None and high is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
    return descriptor
