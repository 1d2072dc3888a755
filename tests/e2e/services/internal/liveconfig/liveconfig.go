// Package liveconfig follows settings in the files of a mounted ConfigMap, without a restart.
package liveconfig

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Setting is one key of the ConfigMap, which is one file of the folder.
type Setting struct {
	Key string
	// Apply puts a text in force, or refuses it and changes nothing.
	Apply func(text string) error
	// Reset puts back what was in force at the program's start.
	Reset func()
}

// state is what Poll last saw of a file.
type state struct {
	present bool
	content string
	failure string
}

// Folder follows the files of one mounted ConfigMap.
type Folder struct {
	directory string
	settings  []Setting
	seen      []state
	refused   prometheus.Counter
}

// NewFolder returns a Folder on settings; nothing is read before Poll.
func NewFolder(directory string, settings ...Setting) *Folder {
	return &Folder{
		directory: directory,
		settings:  settings,
		seen:      make([]state, len(settings)),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "live_config_refused_total",
			Help: "Contents of files in LIVE_CONFIG_DIR that were refused, each counted once.",
		}),
	}
}

// Refused counts the contents that were refused.
func (f *Folder) Refused() prometheus.Counter { return f.refused }

// Poll puts in force what has changed since the last call, and nothing else: a setting that someone
// in the program changed meanwhile stays until its file changes.
func (f *Folder) Poll() {
	for i, setting := range f.settings {
		now := f.read(setting.Key)
		if now == f.seen[i] {
			continue
		}
		f.seen[i] = now
		f.enact(setting, now)
	}
}

func (f *Folder) read(key string) state {
	content, err := os.ReadFile(filepath.Join(f.directory, key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state{}
	case err != nil:
		return state{present: true, failure: err.Error()}
	default:
		return state{present: true, content: strings.TrimSpace(string(content))}
	}
}

func (f *Folder) enact(setting Setting, now state) {
	if !now.present {
		setting.Reset()
		slog.Info("live setting gone, back to the start's", "key", setting.Key)
		return
	}
	failure := now.failure
	if failure == "" {
		if err := setting.Apply(now.content); err != nil {
			failure = err.Error()
		}
	}
	if failure != "" {
		f.refused.Inc()
		slog.Error("live setting refused", "key", setting.Key, "content", now.content, "error", failure)
		return
	}
	slog.Info("live setting in force", "key", setting.Key, "content", now.content)
}
