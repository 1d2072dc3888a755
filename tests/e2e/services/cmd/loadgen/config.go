package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"gctuner.test/services/internal/schedule"
	"gctuner.test/services/internal/settings"
)

type config struct {
	listen         string
	targets        []string
	targetsURL     string
	path           string
	schedule       schedule.Schedule
	uniform        bool
	seed           uint64
	duration       time.Duration
	interval       time.Duration
	timeout        time.Duration
	maxInFlight    int64
	waitForTargets time.Duration
}

// environment maps each flag to the variable that it overrides.
var environment = []struct{ flag, variable, usage string }{
	{"listen", "LISTEN", "address of the program's own metrics"},
	{"targets", "TARGETS", "fixed list of targets, host:port,host:port"},
	{"targets-url", "TARGETS_URL", "URL of a JSON list of host:port"},
	{"path", "REQUEST_PATH", "path to request"},
	{"rate", "RATE", "requests per second"},
	{"schedule", "SCHEDULE", "schedule of rates, see README.md"},
	{"arrivals", "ARRIVALS", "poisson or uniform"},
	{"seed", "SEED", "seed of the arrivals"},
	{"duration", "DURATION", "length of the run"},
	{"interval", "INTERVAL", "time between summaries"},
	{"timeout", "REQUEST_TIMEOUT", "longest time for one request"},
	{"max-in-flight", "MAX_IN_FLIGHT", "requests in flight beyond which requests are dropped"},
	{"wait-for-targets", "WAIT_FOR_TARGETS", "how long to wait for a first target"},
}

func readConfig(arguments []string, lookup func(string) string) (config, error) {
	given := make(map[string]string)
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error
	for _, setting := range environment {
		flags.Func(setting.flag, setting.usage, func(text string) error {
			given[setting.variable] = text
			return nil
		})
	}
	if err := flags.Parse(arguments); err != nil {
		return config{}, err
	}
	if flags.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return readSettings(func(name string) string {
		if text, found := given[name]; found {
			return text
		}
		return lookup(name)
	})
}

func readSettings(lookup func(string) string) (config, error) {
	r := settings.NewReader(lookup)
	c := config{
		listen:         r.ListenAddress(8081),
		targetsURL:     r.Text("TARGETS_URL", ""),
		path:           r.Text("REQUEST_PATH", "/work"),
		uniform:        r.OneOf("ARRIVALS", "poisson", "poisson", "uniform") == "uniform",
		seed:           uint64(r.Count("SEED", 1, 0)),
		duration:       r.Duration("DURATION", 0, 0),
		interval:       r.Duration("INTERVAL", 10*time.Second, 100*time.Millisecond),
		timeout:        r.Duration("REQUEST_TIMEOUT", 10*time.Second, time.Millisecond),
		maxInFlight:    r.Count("MAX_IN_FLIGHT", 2000, 1),
		waitForTargets: r.Duration("WAIT_FOR_TARGETS", 0, 0),
	}
	if !strings.HasPrefix(c.path, "/") || strings.ContainsAny(c.path, " \r\n") {
		r.Refuse("REQUEST_PATH", errors.New("want a path that starts with / and has no spaces"))
	}
	if text := r.Text("TARGETS", ""); text != "" {
		for target := range strings.SplitSeq(text, ",") {
			target = strings.TrimSpace(target)
			if _, _, err := net.SplitHostPort(target); err != nil {
				r.Refuse("TARGETS", errors.New("want host:port,host:port"))
				break
			}
			c.targets = append(c.targets, target)
		}
	}
	if c.targetsURL != "" {
		if parsed, err := url.Parse(c.targetsURL); err != nil || parsed.Host == "" {
			r.Refuse("TARGETS_URL", errors.New("want a URL such as http://127.0.0.1:10250/endpoints/shop/cart"))
		}
	}
	if (r.Text("TARGETS", "") == "") == (c.targetsURL == "") {
		r.Refuse("TARGETS_URL", errors.New("want exactly one of TARGETS and TARGETS_URL"))
	}
	rate := r.Number("RATE", 100, 0, 1e6)
	c.schedule = func(time.Duration) float64 { return rate }
	if text := r.Text("SCHEDULE", ""); text != "" {
		if r.Text("RATE", "") != "" {
			r.Refuse("SCHEDULE", errors.New("want only one of SCHEDULE and RATE"))
		}
		parsed, err := schedule.Parse(text)
		if err != nil {
			r.Refuse("SCHEDULE", err)
		}
		c.schedule = parsed
	}
	return c, r.Err()
}
