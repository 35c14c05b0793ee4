"""Sources → clips → streams (paper §3.2, §4)."""
