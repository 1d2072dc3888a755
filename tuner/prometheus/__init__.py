"""Prometheus, and what speaks its API, as the source of all figures."""

from tuner.prometheus.access import Access
from tuner.prometheus.metric_names import MetricNames
from tuner.prometheus.queries import PROBE, Query, check, check_selector, queries
from tuner.prometheus.session import Series, Vector
from tuner.prometheus.source import PrometheusSource, connect

__all__ = [
    "PROBE",
    "Access",
    "MetricNames",
    "PrometheusSource",
    "Query",
    "Series",
    "Vector",
    "check",
    "check_selector",
    "connect",
    "queries",
]
