"""Observers of the loop: log, metrics, table; and the HTTP endpoints of the operator itself."""
