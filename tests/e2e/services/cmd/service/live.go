package main

import (
	"math"
	"runtime/debug"

	"gctuner.test/services/internal/barrier"
	"gctuner.test/services/internal/liveconfig"
	"gctuner.test/services/internal/settings"
)

// liveFolder follows GOGC, GOMEMLIMIT and BARRIER in a folder. What is in force now is what a
// setting goes back to once its file is gone.
func liveFolder(directory string, b *barrier.Barrier, threshold int64) *liveconfig.Folder {
	startPercent, startLimit := gcPercentInForce(), int64(observedMemoryLimit())
	return liveconfig.NewFolder(directory,
		liveconfig.Setting{
			Key:   "GOGC",
			Apply: applying(settings.ParseGCPercent, setGCPercent),
			Reset: func() { setGCPercent(startPercent) },
		},
		liveconfig.Setting{
			Key:   "GOMEMLIMIT",
			Apply: applying(settings.ParseMemoryLimit, setMemoryLimit),
			Reset: func() { setMemoryLimit(startLimit) },
		},
		liveconfig.Setting{
			Key:   "BARRIER",
			Apply: applying(settings.ParseThreshold, b.SetThreshold),
			Reset: func() { b.SetThreshold(threshold) },
		},
	)
}

func applying[T any](parse func(string) (T, error), set func(T)) func(string) error {
	return func(text string) error {
		value, err := parse(text)
		if err != nil {
			return err
		}
		set(value)
		return nil
	}
}

// tuneInProcess sets what the environment's SET_* ask for, as a tuner linked into the program would,
// or starts one that is.
func tuneInProcess(c config) error {
	if c.setGCPercent != nil {
		setGCPercent(*c.setGCPercent)
	}
	if c.setMemoryLimit != nil {
		setMemoryLimit(*c.setMemoryLimit)
	}
	return c.tuner.Start()
}

func setGCPercent(percent int)   { debug.SetGCPercent(percent) }
func setMemoryLimit(bytes int64) { debug.SetMemoryLimit(bytes) }

// gcPercentInForce is the GOGC in force as debug.SetGCPercent takes it: -1 when it is off.
func gcPercentInForce() int {
	if percent := observedGOGC(); percent <= math.MaxInt32 {
		return int(percent)
	}
	return -1
}
