package liveconfig

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// recorder is a setting that takes every text but "bad".
type recorder struct{ inForce, applied string }

func (r *recorder) setting(key string) Setting {
	return Setting{
		Key: key,
		Apply: func(text string) error {
			r.applied += text + ";"
			if text == "bad" {
				return errors.New("bad")
			}
			r.inForce = text
			return nil
		},
		Reset: func() { r.inForce = "start" },
	}
}

func write(t *testing.T, directory, key, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, key), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsInForceUntilItIsGone(t *testing.T) {
	directory := t.TempDir()
	r := &recorder{inForce: "start"}
	folder := NewFolder(directory, r.setting("KEY"))
	folder.Poll()
	if r.inForce != "start" {
		t.Errorf("no file: %q", r.inForce)
	}
	write(t, directory, "KEY", "1\n")
	folder.Poll()
	if r.inForce != "1" {
		t.Errorf("a file: %q", r.inForce)
	}
	write(t, directory, "KEY", "2")
	folder.Poll()
	if r.inForce != "2" {
		t.Errorf("another content: %q", r.inForce)
	}
	if err := os.Remove(filepath.Join(directory, "KEY")); err != nil {
		t.Fatal(err)
	}
	folder.Poll()
	if r.inForce != "start" {
		t.Errorf("no file any more: %q", r.inForce)
	}
}

func TestAMalformedContentLeavesTheLastGoodOneAndCountsOnce(t *testing.T) {
	directory := t.TempDir()
	r := &recorder{inForce: "start"}
	folder := NewFolder(directory, r.setting("KEY"))
	for _, content := range []string{"1", "bad", "bad"} {
		write(t, directory, "KEY", content)
		folder.Poll()
	}
	if r.inForce != "1" {
		t.Errorf("in force: %q", r.inForce)
	}
	if got := testutil.ToFloat64(folder.Refused()); got != 1 {
		t.Errorf("refused %g times", got)
	}
}

func TestAFileThatCannotBeReadIsRefused(t *testing.T) {
	directory := t.TempDir()
	if err := os.Mkdir(filepath.Join(directory, "KEY"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := &recorder{inForce: "start"}
	folder := NewFolder(directory, r.setting("KEY"))
	folder.Poll()
	folder.Poll()
	if got := testutil.ToFloat64(folder.Refused()); got != 1 || r.inForce != "start" {
		t.Errorf("refused %g times, in force: %q", got, r.inForce)
	}
}

func TestAnUnchangedFileIsNotAppliedAgain(t *testing.T) {
	directory := t.TempDir()
	r := &recorder{}
	folder := NewFolder(directory, r.setting("KEY"), (&recorder{}).setting("OTHER"))
	write(t, directory, "KEY", "1")
	folder.Poll()
	write(t, directory, "OTHER", "1")
	folder.Poll()
	if r.applied != "1;" {
		t.Errorf("applied: %q", r.applied)
	}
}

func TestAFileIsReadThroughTheLinksOfAMountedConfigMap(t *testing.T) {
	directory := t.TempDir()
	for _, version := range []string{"1", "2"} {
		if err := os.Mkdir(filepath.Join(directory, "..v"+version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(directory, "..v"+version), "KEY", version)
	}
	link := func(target, name string) {
		t.Helper()
		staged := filepath.Join(directory, "..staged")
		if err := os.Symlink(target, staged); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(staged, filepath.Join(directory, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := &recorder{}
	folder := NewFolder(directory, r.setting("KEY"))
	link("..v1", "..data")
	link("..data/KEY", "KEY")
	folder.Poll()
	if r.inForce != "1" {
		t.Errorf("at first: %q", r.inForce)
	}
	link("..v2", "..data")
	folder.Poll()
	if r.inForce != "2" {
		t.Errorf("after the swap: %q", r.inForce)
	}
}
