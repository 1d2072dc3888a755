// Package barrier refuses requests beyond a number in flight.
package barrier

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Barrier admits requests while fewer than a threshold are in flight. It is a prometheus.Collector.
type Barrier struct {
	threshold atomic.Int64
	inFlight  atomic.Int64
	refused   atomic.Int64
}

// New returns a Barrier; threshold 0 means none.
func New(threshold int64) *Barrier {
	b := new(Barrier)
	b.SetThreshold(threshold)
	return b
}

// SetThreshold changes the threshold at once; requests in flight stay admitted.
func (b *Barrier) SetThreshold(threshold int64) { b.threshold.Store(threshold) }

// Enter asks for admission. Each true must be followed by one Leave.
func (b *Barrier) Enter() bool {
	inFlight := b.inFlight.Add(1)
	if threshold := b.threshold.Load(); threshold > 0 && inFlight > threshold {
		b.inFlight.Add(-1)
		b.refused.Add(1)
		return false
	}
	return true
}

// Leave ends an admitted request.
func (b *Barrier) Leave() { b.inFlight.Add(-1) }

var (
	inFlightDesc = prometheus.NewDesc("barrier_in_flight",
		"Requests admitted and not yet answered.", nil, nil)
	thresholdDesc = prometheus.NewDesc("barrier_threshold",
		"Requests in flight beyond which requests are refused; absent without a barrier.", nil, nil)
	refusedDesc = prometheus.NewDesc("barrier_refused_total",
		"Requests refused by the barrier.", nil, nil)
)

// Describe implements prometheus.Collector.
func (b *Barrier) Describe(descs chan<- *prometheus.Desc) {
	descs <- inFlightDesc
	descs <- thresholdDesc
	descs <- refusedDesc
}

// Collect implements prometheus.Collector.
func (b *Barrier) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.MustNewConstMetric(
		inFlightDesc, prometheus.GaugeValue, float64(b.inFlight.Load()))
	if threshold := b.threshold.Load(); threshold > 0 {
		metrics <- prometheus.MustNewConstMetric(
			thresholdDesc, prometheus.GaugeValue, float64(threshold))
	}
	metrics <- prometheus.MustNewConstMetric(
		refusedDesc, prometheus.CounterValue, float64(b.refused.Load()))
}
