"""Why a decision is what it is: the closed set of reasons."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a decision is what it is: a closed set; each is a metric label and a documented page."""

    # Reasons to write
    GC_COST = "gc_cost"
    MEMORY_CEILING = "memory_ceiling"
    MEMORY_LIMIT = "memory_limit"
    DANGER = "danger"
    BARRIER = "barrier"
    PINNED = "pinned"
    ROLLBACK = "rollback"

    # Reasons to hold, not ours to write
    MODE_OFF = "mode_off"
    MODE_RECOMMEND = "mode_recommend"
    MODE_INVALID = "mode_invalid"
    DRY_RUN = "dry_run"
    STANDBY = "standby"
    OWNED_BY_OTHER = "owned_by_other"
    VALUE_FROM = "value_from"
    DUPLICATE_ENV = "duplicate_env"
    REVERTED_BY_OTHER = "reverted_by_other"
    CONTAINER_UNCLEAR = "container_unclear"
    ANNOTATION_INVALID = "annotation_invalid"
    LIVE_CHANNEL_INVALID = "live_channel_invalid"
    IN_PROCESS_TUNER = "in_process_tuner"
    VERTICAL_AUTOSCALER = "vertical_autoscaler"

    # Reasons to hold, people said so
    PAUSED = "paused"
    FROZEN = "frozen"
    AT_PIN = "at_pin"
    OVERRIDE_INVALID = "override_invalid"
    CHANGE_WINDOW = "change_window"
    ALERT_FIRING = "alert_firing"

    # Reasons to hold, not known well enough
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_WARMING = "source_warming"
    WARMING_UP = "warming_up"
    NO_DATA = "no_data"
    STALE = "stale"
    NOT_FINITE = "not_finite"
    WINDOW_TOO_SHORT = "window_too_short"
    FEW_CYCLES = "few_cycles"
    GOGC_DIFFERS = "gogc_differs"
    COLLECTING_BASELINE = "collecting_baseline"
    COST_UNKNOWN = "cost_unknown"

    # Reasons to hold, nothing to gain
    GC_IDLE = "gc_idle"
    GOGC_OFF = "gogc_off"
    AT_TARGET = "at_target"
    AT_BOUND = "at_bound"
    NOT_WORTH = "not_worth"
    MEMORY_BOUND = "memory_bound"
    MEMORY_SHORT = "memory_short"
    MEMORY_BUDGET_UNKNOWN = "memory_budget_unknown"
    DIRECTION_CLOSED = "direction_closed"
    QUARANTINED = "quarantined"
    LEAK_SUSPECTED = "leak_suspected"
    LATENCY_NOT_GC = "latency_not_gc"
    CONTAINER_SMALL = "container_small"

    # Reasons to hold, not now
    NOT_RUNNING = "not_running"
    ROLLOUT_IN_PROGRESS = "rollout_in_progress"
    ROLLOUT_PAUSED = "rollout_paused"
    ROLLOUT_FAILING = "rollout_failing"
    FEW_REPLICAS = "few_replicas"
    RESIZE_PENDING = "resize_pending"
    TRIAL_RUNNING = "trial_running"
    COOLDOWN = "cooldown"
    OTHER_ROLLOUT = "other_rollout"
    CHANGE_BUDGET = "change_budget"
    WORKLOAD_CHANGED = "workload_changed"
    CLUSTER_UNAVAILABLE = "cluster_unavailable"
    WRITE_REFUSED = "write_refused"
    INTERNAL_ERROR = "internal_error"


OPERATOR_WIDE = frozenset(
    {Reason.SOURCE_UNAVAILABLE, Reason.SOURCE_WARMING, Reason.DRY_RUN, Reason.STANDBY}
)
"""Reasons that say nothing of the workload: told once for all, never written per workload."""
