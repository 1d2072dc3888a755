package settings

import (
	"strings"
	"testing"
	"time"
)

func from(values map[string]string) *Reader {
	return NewReader(func(name string) string { return values[name] })
}

func TestBytesTakesKubernetesQuantities(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "64Mi": 64 << 20, "1.5Gi": 3 << 29, "1k": 1000, "2M": 2_000_000,
		"1G": 1_000_000_000, "512Ki": 512 << 10,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestBytesRefusesEverythingElse(t *testing.T) {
	for _, text := range []string{"", "Mi", "64MiB", "64MB", "-1", "inf", "0x10", "1_0", "1e3", "1.2.3",
		"64 Mi", "9999999Ti"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d; want an error", text, got)
		}
	}
}

func TestUnsetSettingsHaveTheirDefaults(t *testing.T) {
	r := from(nil)
	if got := r.Bytes("A", 7); got != 7 {
		t.Errorf("Bytes = %d", got)
	}
	if got := r.Duration("B", time.Minute, 0); got != time.Minute {
		t.Errorf("Duration = %s", got)
	}
	if got := r.OneOf("C", "x", "x", "y"); got != "x" {
		t.Errorf("OneOf = %q", got)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func TestEveryMalformedSettingIsNamed(t *testing.T) {
	r := from(map[string]string{
		"SIZE": "64MB", "RATIO": "1.5", "COUNT": "0", "KIND": "z", "WAIT": "5", "FINE": "3",
		"NAN": "NaN",
	})
	r.Bytes("SIZE", 0)
	r.Number("RATIO", 0, 0, 1)
	r.Number("NAN", 0, 0, 1)
	r.Count("COUNT", 1, 1)
	r.OneOf("KIND", "x", "x", "y")
	r.Duration("WAIT", 0, 0)
	r.Count("FINE", 1, 1)
	err := r.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"SIZE", "RATIO", "NAN", "COUNT", "KIND", "WAIT"} {
		if !strings.Contains(err.Error(), name+"=") {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
	if strings.Contains(err.Error(), "FINE") {
		t.Errorf("a good setting is named in %q", err)
	}
}

func TestListenAddress(t *testing.T) {
	for want, values := range map[string]map[string]string{
		":8080":          {},
		":9000":          {"PORT": "9000"},
		"127.3.2.1:8080": {"POD_IP": "127.3.2.1"},
		"[::1]:9000":     {"POD_IP": "::1", "PORT": "9000"},
		"0.0.0.0:1":      {"POD_IP": "127.3.2.1", "LISTEN": "0.0.0.0:1"},
	} {
		r := from(values)
		if got := r.ListenAddress(8080); got != want || r.Err() != nil {
			t.Errorf("%v: %q, %v; want %q", values, got, r.Err(), want)
		}
	}
	for _, values := range []map[string]string{
		{"POD_IP": "pod-1"}, {"PORT": "http"}, {"LISTEN": "8080"},
	} {
		r := from(values)
		if r.ListenAddress(8080); r.Err() == nil {
			t.Errorf("%v is taken", values)
		}
	}
}
