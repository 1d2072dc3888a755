// Package inprocess starts a tuner of the garbage collector that is linked into the program: what
// people use today, for comparison.
package inprocess

import (
	"fmt"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/bytedance/gopkg/util/gctuner"
)

// Kind says which tuner.
type Kind string

const (
	// None leaves the runtime alone.
	None Kind = ""
	// Automemlimit sets GOMEMLIMIT once, from the container's limit.
	Automemlimit Kind = "automemlimit"
	// GCTuner sets GOGC after each cycle, so that the heap reaches a threshold.
	GCTuner Kind = "gctuner"
)

const (
	// automemlimit's own default.
	automemlimitRatio = .9
	// What gctuner's README recommends.
	gctunerRatio = .7
)

// Tuner is a tuner for a container. Its limit is given, not read from the cgroup, because the
// programs of the test bed have none of their own.
type Tuner struct {
	Kind           Kind
	ContainerBytes uint64
}

// Start starts the tuner; for None it does nothing.
func (t Tuner) Start() error {
	switch t.Kind {
	case Automemlimit:
		_, err := memlimit.Set(
			memlimit.WithRatio(automemlimitRatio),
			memlimit.WithProvider(memlimit.Limit(t.ContainerBytes)),
		)
		if err != nil {
			return fmt.Errorf("automemlimit: %w", err)
		}
	case GCTuner:
		gctuner.Tuning(uint64(gctunerRatio * float64(t.ContainerBytes)))
	}
	return nil
}
