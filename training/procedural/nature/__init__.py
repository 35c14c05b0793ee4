"""Weather, water, animals."""
