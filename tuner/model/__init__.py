"""The vocabulary of the core: frozen values and closed enums, no behaviour that needs the world.

Units are in the names. A ratio is 0-1; GOGC is Go's own percent. A time is seconds since the
Unix epoch; a duration is seconds.
"""
