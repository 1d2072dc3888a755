import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tuner.errors import SourceError
from tuner.model.reading import Quantity
from tuner.model.workload import BARRIER, GOGC
from tuner.simulation import PlantSource, Service, SimulatedCluster
from tuner.simulation.streams import constant, ramp, step

WINDOW, WARM_UP = 60.0, 60.0
SERVICE = Service(
    name="svc",
    requests_per_second=constant(600),
    garbage_bytes_per_request=300e3,
    work_seconds_per_request=0.3e-3,
    live_bytes=constant(100e6),
)


class Scraped:
    """A cluster of one service, scraped every five seconds."""

    def __init__(self, service: Service = SERVICE) -> None:
        self.cluster = SimulatedCluster([service], now=0.0, seed=1)
        self.source = PlantSource(self.cluster, rate_window_seconds=WINDOW, warm_up_seconds=WARM_UP)
        (self.key,) = self.cluster.services()

    def run(self, seconds: float) -> Mapping[Quantity, float]:
        for _ in range(round(seconds / 5)):
            self.cluster.advance(5.0)
            self.source.scrape()
        return self.read()

    def read(self) -> Mapping[Quantity, float]:
        containers = self.source.read(self.cluster.now).containers
        return next(iter(containers.values()), {})


def test_pods_take_part_when_their_window_lies_behind_their_warm_up() -> None:
    scraped = Scraped()
    young = scraped.run(WARM_UP + WINDOW)
    assert young[Quantity.PODS_ALL] == 2
    assert Quantity.PODS not in young
    assert Quantity.CPU_CORES not in young
    assert scraped.run(5)[Quantity.PODS] == 2


def test_the_figures_are_those_of_the_plant() -> None:
    reading = Scraped().run(300)
    assert reading[Quantity.REQUESTS_PER_SECOND] == pytest.approx(600)
    assert reading[Quantity.ALLOCATED_BYTES_PER_SECOND] == pytest.approx(180e6)
    assert reading[Quantity.GC_CYCLES_PER_SECOND] == pytest.approx(1.8, rel=0.05)
    assert reading[Quantity.GC_CPU_CORES] == pytest.approx(1.8 * 0.07, rel=0.05)
    assert reading[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(180e6, rel=0.05)
    assert reading[Quantity.CPU_CORES] == pytest.approx(0.18 + 0.126, rel=0.05)
    assert reading[Quantity.HEAP_GOAL_BYTES] == pytest.approx(201.3e6)
    assert reading[Quantity.LIVE_EXPORTED_BYTES] == pytest.approx(100e6)
    assert reading[Quantity.LIVE_DERIVED_BYTES] == pytest.approx(100e6, rel=0.03)
    assert reading[Quantity.RESIDENT_BYTES] == pytest.approx(201.3e6 + 17e6)
    assert reading[Quantity.GOGC_LOWEST] == reading[Quantity.GOGC_HIGHEST] == 100
    assert reading[Quantity.GOMEMLIMIT_BYTES] > 1e18
    assert reading[Quantity.LATENCY_P95_SECONDS] > SERVICE.latency_seconds
    assert reading[Quantity.LATENCY_P99_SECONDS] > reading[Quantity.LATENCY_P95_SECONDS]
    assert reading[Quantity.ERRORS_PER_SECOND] == 0
    assert reading[Quantity.SAMPLES_IN_WINDOW] == 12
    assert reading[Quantity.SAMPLE_AGE_SECONDS] == 0


def test_the_rate_window_blurs_a_step() -> None:
    scraped = Scraped(replace(SERVICE, requests_per_second=step(600, 1200, at=300)))
    scraped.run(300)
    assert scraped.run(30)[Quantity.REQUESTS_PER_SECOND] == pytest.approx(900, rel=0.1)
    assert scraped.run(60)[Quantity.REQUESTS_PER_SECOND] == pytest.approx(1200)


def test_what_a_service_does_not_export_is_absent() -> None:
    reading = Scraped(replace(SERVICE, runtime_metrics=False)).run(300)
    assert Quantity.GC_CPU_CORES not in reading
    assert Quantity.LIVE_EXPORTED_BYTES not in reading
    assert reading[Quantity.MARKED_BYTES_PER_SECOND] == pytest.approx(180e6, rel=0.05)


def test_the_smallest_heap_of_ten_minutes_is_near_the_live_heap() -> None:
    reading = Scraped(replace(SERVICE, gomemlimit="160MiB")).run(700)
    assert reading[Quantity.LIVE_FLOOR_BYTES] == pytest.approx(100e6, rel=0.05)


def test_gogc_differs_between_pods_while_a_rollout_runs() -> None:
    scraped = Scraped(replace(SERVICE, replicas=4))
    scraped.run(200)
    scraped.cluster.set_env(scraped.key, GOGC, "200")
    scraped.run(25)
    reading = scraped.run(WARM_UP + WINDOW)
    assert reading[Quantity.GOGC_HIGHEST] == 200
    assert reading[Quantity.PODS] < reading[Quantity.PODS_ALL]


def test_gogc_off_reads_as_go_exports_it_and_tells_no_live_heap() -> None:
    reading = Scraped(replace(SERVICE, gogc="off", gomemlimit="500MiB")).run(300)
    assert reading[Quantity.GOGC_HIGHEST] == 1.8e19
    assert reading[Quantity.GOMEMLIMIT_BYTES] == 500 * 2**20
    assert Quantity.LIVE_DERIVED_BYTES not in reading


def test_a_killed_process_begins_a_new_series() -> None:
    leak = ramp(100e6, 600e6, start=0, end=1000)
    scraped = Scraped(replace(SERVICE, live_bytes=leak))
    scraped.run(300)
    while scraped.cluster.oom_kills == 0:
        scraped.run(5)
        assert scraped.cluster.now < 1000
    reading = scraped.run(15)
    assert reading[Quantity.PODS_ALL] == 2
    assert reading.get(Quantity.PODS, 0) < 2
    assert all(value >= 0 for value in reading.values())


def test_latency_has_no_figure_without_requests() -> None:
    reading = Scraped(replace(SERVICE, requests_per_second=constant(0))).run(300)
    assert math.isnan(reading[Quantity.LATENCY_P95_SECONDS])


def test_in_a_gap_samples_grow_old_and_few_and_then_the_series_end() -> None:
    scraped = Scraped()
    scraped.run(300)
    scraped.source.scraping = False
    reading = scraped.run(45)
    assert reading[Quantity.SAMPLE_AGE_SECONDS] == 45
    assert reading[Quantity.SAMPLES_IN_WINDOW] == 3
    reading = scraped.run(30)
    assert reading[Quantity.SAMPLES_IN_WINDOW] == 0
    assert Quantity.CPU_CORES not in reading
    assert scraped.run(300) == {}
    scraped.source.scraping = True
    assert scraped.run(60)[Quantity.PODS] == 2


def test_in_an_outage_there_is_an_error_and_no_figure() -> None:
    scraped = Scraped()
    scraped.run(300)
    scraped.source.outage = "connection refused"
    with pytest.raises(SourceError, match="connection refused"):
        scraped.read()


def test_what_pods_tell_beside_their_heap() -> None:
    reading = Scraped(replace(SERVICE, quota=True, cores=1.5, goroutines=constant(70))).run(300)
    assert reading[Quantity.GO_VERSION] == 1_026_008
    assert reading[Quantity.PROCESSORS] == 4
    assert 70 < reading[Quantity.GOROUTINES] < 75
    assert reading[Quantity.PAUSE_SECONDS_PER_SECOND] == pytest.approx(0.9 * 100e-6, rel=0.1)
    assert reading[Quantity.PAUSE_LONGEST_SECONDS] > SERVICE.pause_seconds
    assert reading[Quantity.THROTTLED_RATIO] == pytest.approx(0, abs=1e-6)
    overloaded = replace(SERVICE, quota=True, requests_per_second=constant(9000))
    assert Scraped(overloaded).run(300)[Quantity.THROTTLED_RATIO] > 0.3
    assert Quantity.THROTTLED_RATIO not in Scraped().run(300)


def test_a_runtime_before_go_1_21_does_not_tell_its_settings() -> None:
    reading = Scraped(replace(SERVICE, go_version=1_020_014, runtime_metrics=False)).run(300)
    assert reading[Quantity.GO_VERSION] == 1_020_014
    for quantity in (
        Quantity.GOGC_LOWEST,
        Quantity.GOGC_HIGHEST,
        Quantity.GOMEMLIMIT_BYTES,
        Quantity.LIVE_DERIVED_BYTES,
    ):
        assert quantity not in reading
    assert reading[Quantity.LIVE_FLOOR_BYTES] > 0


def test_what_the_barrier_refuses_is_no_answer() -> None:
    barred = replace(SERVICE, barrier="4", requests_per_second=constant(9000))
    reading = Scraped(barred).run(300)
    admitted, refused = (
        reading[Quantity.REQUESTS_PER_SECOND],
        reading[Quantity.BARRIER_REFUSED_PER_SECOND],
    )
    assert admitted + refused == pytest.approx(9000)
    assert refused > 1000
    assert reading[Quantity.ERRORS_PER_SECOND] == 0
    assert 3 < reading[Quantity.BARRIER_IN_FLIGHT] <= 4
    thresholds = Quantity.BARRIER_THRESHOLD_LOWEST, Quantity.BARRIER_THRESHOLD_HIGHEST
    assert [reading[each] for each in thresholds] == [4, 4]
    assert Quantity.BARRIER_IN_FLIGHT not in Scraped().run(300)
    assert thresholds[0] not in Scraped().run(300)


def test_a_live_write_shows_when_the_pods_have_it() -> None:
    scraped = Scraped(replace(SERVICE, live=True, barrier="100"))
    scraped.run(300)
    scraped.cluster.set_env(scraped.key, GOGC, "200")
    scraped.cluster.set_env(scraped.key, BARRIER, "50")
    reading = scraped.run(55)
    assert (reading[Quantity.GOGC_HIGHEST], reading[Quantity.BARRIER_THRESHOLD_HIGHEST]) == (
        100,
        100,
    )
    reading = scraped.run(5)
    assert (reading[Quantity.GOGC_LOWEST], reading[Quantity.BARRIER_THRESHOLD_LOWEST]) == (200, 50)
    assert reading[Quantity.PODS] == 2


def test_scrapes_that_are_lost_leave_fewer_samples_and_the_same_rates() -> None:
    scraped = Scraped()
    scraped.source.gaps = constant(0.3)
    scraped.run(300)
    scraped.source.gaps = constant(0.0)
    reading = scraped.run(5)
    assert 3 < reading[Quantity.SAMPLES_IN_WINDOW] < 12
    assert reading[Quantity.REQUESTS_PER_SECOND] == pytest.approx(600)


def test_a_pod_whose_scrape_is_lost_is_not_seen_until_the_next_one() -> None:
    scraped = Scraped()
    scraped.run(300)
    scraped.source.gaps = constant(0.3)
    pods = [scraped.run(5).get(Quantity.PODS, 0) for _ in range(240)]
    assert set(pods) == {0, 1, 2}
    scraped.source.gaps = constant(1.0)
    assert scraped.run(5) == {}
    scraped.source.gaps = constant(0.0)
    assert scraped.run(5)[Quantity.PODS] == 2


def test_without_scraping_the_newest_sample_grows_old() -> None:
    scraped = Scraped()
    scraped.run(300)
    scraped.source.scraping = False
    assert scraped.run(40)[Quantity.SAMPLE_AGE_SECONDS] == 40
    assert scraped.run(300) == {}


def test_alerts_are_told_by_namespace() -> None:
    scraped = Scraped()
    assert scraped.source.read(0).alerts == {}
    scraped.source.alerts = {"default": frozenset({"Overload"})}
    assert scraped.source.read(0).alerts == {"default": frozenset({"Overload"})}


def test_a_query_of_the_past_is_answered_as_it_was_then_and_one_of_the_future_by_nothing() -> None:
    scraped = Scraped()
    then = scraped.run(300)
    scraped.cluster.set_env(scraped.key, GOGC, "200")
    now = scraped.run(600)
    assert (then[Quantity.GOGC_LOWEST], now[Quantity.GOGC_LOWEST]) == (100, 200)
    (past,) = scraped.source.read(310.0).containers.values()
    assert past == then
    assert not scraped.source.read(299.0).containers
    assert not scraped.source.read(scraped.cluster.now + 3600).containers


def test_queries_say_what_they_are_made_to_say() -> None:
    scraped = Scraped()
    scraped.run(300)
    scraped.source.edits = {Quantity.CPU_CORES: None, Quantity.RESIDENT_BYTES: math.nan}
    edited = scraped.read()
    assert Quantity.CPU_CORES not in edited
    assert math.isnan(edited[Quantity.RESIDENT_BYTES])
    scraped.source.edits = {}
    assert scraped.read()[Quantity.CPU_CORES] > 0
