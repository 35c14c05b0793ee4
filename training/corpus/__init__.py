"""Sources and a recipe → shards of labelled streams (paper §3.2, §4): commands, plan, build and checks."""
