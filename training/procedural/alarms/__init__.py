"""Alarms, sirens and the signals of road, rail and public places."""
