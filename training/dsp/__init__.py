"""Signal processing that every later room shares: levels, fades, rooms, noise beds, activity, augmentation."""
