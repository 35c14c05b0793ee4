"""Tools that the model may call: what is declared, what a call must look like, and what becomes of it. Without ROS."""
