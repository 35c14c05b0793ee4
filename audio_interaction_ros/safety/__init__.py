"""What an urgent response is about, and when to raise, repeat and clear an alert. Knows nothing of ROS."""
