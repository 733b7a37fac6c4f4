"""The foundations: keys and random bits, regions, layouts, units."""
