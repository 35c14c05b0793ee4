"""The perceive-decide-respond loop (paper §3.4, Algorithm 3). Knows token ids and tensors; nothing of ROS."""
