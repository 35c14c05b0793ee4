"""The network, its token protocol and its checkpoint directory. Knows nothing of ROS."""
