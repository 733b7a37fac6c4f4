"""What every part stands on: keys and random bits, regions, layouts, units."""
