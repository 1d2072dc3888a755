package wire

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func soon() time.Time { return time.Now().Add(5 * time.Second) }

// countingServer counts the connections made to it.
func countingServer(t *testing.T, handler http.HandlerFunc) (string, *atomic.Int64) {
	t.Helper()
	connections := new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), connections
}

func TestConnectionsAreKeptAlive(t *testing.T) {
	address, connections := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/work" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	target := NewTarget(address, "/work")
	for range 5 {
		if code, err := target.Get(soon()); code != http.StatusTeapot || err != nil {
			t.Fatalf("%d, %v", code, err)
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections for five requests", got)
	}
}

func TestAnAnswerThatClosesItsConnectionIsHonoured(t *testing.T) {
	address, connections := countingServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})
	target := NewTarget(address, "/")
	for range 3 {
		if _, err := target.Get(soon()); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 3 {
		t.Errorf("%d connections for three requests", got)
	}
}

// rawServer accepts connections one after another and hands each to serve.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	return listener.Addr().String()
}

func TestAnIdleConnectionThatTheServerClosedIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 10)
	address := rawServer(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		c.Close()
		closed <- struct{}{}
	})
	target := NewTarget(address, "/")
	for range 20 {
		if code, err := target.Get(soon()); code != http.StatusOK || err != nil {
			t.Fatalf("%d, %v", code, err)
		}
		<-closed
	}
}

func TestEachWayToFailHasItsError(t *testing.T) {
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	hanging := rawServer(t, func(c net.Conn) { t.Cleanup(func() { c.Close() }) })
	answering := func(text string) string {
		return rawServer(t, func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = c.Write([]byte(text))
			c.Close()
		})
	}
	for name, c := range map[string]struct {
		address string
		want    error
	}{
		"nobody listens":       {refusing.Addr().String(), ErrRefused},
		"no answer in time":    {hanging, ErrTimeout},
		"closed, no answer":    {answering(""), ErrLost},
		"closed in the header": {answering("HTTP/1.1 200 OK\r\nContent-Le"), ErrLost},
		"closed in the body":   {answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"), ErrLost},
		"not HTTP":             {answering("hello, world\r\n\r\n"), ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			deadline := time.Now().Add(200 * time.Millisecond)
			if _, err := NewTarget(c.address, "/").Get(deadline); !errors.Is(err, c.want) {
				t.Errorf("%v; want %v", err, c.want)
			}
		})
	}
}

func TestARequestIsNeverSentTwice(t *testing.T) {
	requests := new(atomic.Int64)
	// Each connection answers once and breaks in the middle of the second request.
	address := rawServer(t, func(c net.Conn) {
		reader := bufio.NewReader(c)
		_, _ = http.ReadRequest(reader)
		requests.Add(1)
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		if _, err := http.ReadRequest(reader); err == nil {
			requests.Add(1)
		}
		c.Close()
	})
	target := NewTarget(address, "/")
	if _, err := target.Get(soon()); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Get(soon()); !errors.Is(err, ErrLost) {
		t.Errorf("%v; want %v", err, ErrLost)
	}
	if got := requests.Load(); got != 2 {
		t.Errorf("%d requests arrived; want 2", got)
	}
}

func TestARetiredTargetKeepsNoConnections(t *testing.T) {
	address, connections := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	target := NewTarget(address, "/")
	if _, err := target.Get(soon()); err != nil {
		t.Fatal(err)
	}
	target.Retire()
	if !target.Retired() || len(target.idle) != 0 {
		t.Error("idle connections after Retire")
	}
	if _, err := target.Get(soon()); err != nil {
		t.Fatal(err)
	}
	if len(target.idle) != 0 || connections.Load() != 2 {
		t.Errorf("%d idle, %d made", len(target.idle), connections.Load())
	}
}
