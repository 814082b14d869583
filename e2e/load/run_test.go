package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/url"
	"testing"
	"time"
)

type line struct {
	Summary     bool
	Second      int
	Connections string
	Rate        int
	ActualRate  float64
	Sent        uint64
	Failed      uint64
	Failures    map[failure]uint64
	// WebSockets
	OrderlyCloses uint64
	Total         struct{ Sent, Failed uint64 }
}

// attack runs the load and returns its summary and the lines before it.
func attack(t *testing.T, ctx context.Context, o options) (line, []line) {
	t.Helper()
	var out bytes.Buffer
	if err := run(ctx, o, &out); err != nil {
		t.Fatal(err)
	}
	var lines []line
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var l line
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	last := lines[len(lines)-1]
	if !last.Summary {
		t.Fatalf("the last line is not a summary: %+v", last)
	}
	return last, lines[:len(lines)-1]
}

// short has a timeout that is not reached.
func short(target *url.URL, c connections) options {
	return options{
		target: target, rate: 40, connections: c, timeout: 30 * time.Second, duration: 500 * time.Millisecond,
	}
}

// shortFor has a timeout that is reached if that is the failure to expect.
func shortFor(want failure, target *url.URL, c connections) options {
	o := short(target, c)
	if want == timeout {
		o.timeout = time.Second
	}
	return o
}

func TestFailuresAreCountedByKind(t *testing.T) {
	tests := []struct {
		name   string
		behave behaviour
		want   failure
	}{
		{"responds", ok, ""},
		{"resets", resetConnection, reset},
		{"closes without a response", closeConnection, reset},
		{"closes in the body", write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false), reset},
		{"does not respond", noResponse, timeout},
		{"stalls in the body", write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", true), timeout},
		{"is unavailable", write("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", true), serverError},
		{"redirects", write("HTTP/1.1 307 Away\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", true), otherStatus},
		{"is not HTTP", write("hello\r\n\r\n", false), other},
	}
	for _, test := range tests {
		for _, c := range []connections{newConnections, keptConnections} {
			t.Run(test.name+"/"+string(c), func(t *testing.T) {
				t.Parallel()
				s := serve(t, test.behave)
				summary, _ := attack(t, t.Context(), shortFor(test.want, s.url, c))
				assertAll(t, summary, test.want)
				if got := uint64(s.requests.Load()); got != summary.Sent {
					t.Errorf("%d requests arrived of %d sent", got, summary.Sent)
				}
			})
		}
	}
}

func TestClosedPortIsRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	summary, _ := attack(t, t.Context(), short(&url.URL{Scheme: "http", Host: listener.Addr().String()}, newConnections))
	assertAll(t, summary, refused)
}

func TestOnlyKeptConnectionsAreShared(t *testing.T) {
	for _, c := range []connections{newConnections, keptConnections} {
		s := serve(t, ok)
		summary, _ := attack(t, t.Context(), short(s.url, c))
		shared := uint64(s.connections.Load()) < summary.Sent
		if shared != (c == keptConnections) {
			t.Errorf("%s: %d connections for %d requests", c, s.connections.Load(), summary.Sent)
		}
	}
}

func TestLinesAddUpToSummary(t *testing.T) {
	s := serve(t, okOnce)
	o := short(s.url, keptConnections)
	o.duration = 2200 * time.Millisecond
	summary, seconds := attack(t, t.Context(), o)

	if len(seconds) < 2 || seconds[0].Second != 1 {
		t.Fatalf("lines: %+v", seconds)
	}
	var sent, failed uint64
	for _, second := range seconds {
		sent += second.Sent
		failed += second.Failed
		if second.Total.Sent != sent || second.Total.Failed != failed {
			t.Errorf("total %+v after %d sent and %d failed", second.Total, sent, failed)
		}
	}
	if sent != summary.Sent || failed != summary.Failed || failed == 0 {
		t.Errorf("seconds add up to %d sent and %d failed, the summary is %+v", sent, failed, summary)
	}
	if summary.Connections != "kept" || summary.Rate != 40 || summary.ActualRate < 20 || summary.ActualRate > 60 {
		t.Errorf("summary %+v", summary)
	}
}

func TestPendingResponsesAreAwaitedAfterStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(conn *net.TCPConn, nth int) bool {
		cancel()
		time.Sleep(time.Second)
		return ok(conn, nth)
	})
	o := short(s.url, newConnections)
	o.duration = time.Hour
	summary, _ := attack(t, ctx, o)

	assertAll(t, summary, "")
	if got := uint64(s.requests.Load()); got != summary.Sent {
		t.Errorf("%d requests arrived of %d sent", got, summary.Sent)
	}
}

// assertAll checks that all requests have the same outcome.
func assertAll(t *testing.T, summary line, kind failure) {
	t.Helper()
	want := map[failure]uint64{}
	if kind != "" {
		want[kind] = summary.Sent
	}
	if summary.Sent == 0 || !maps.Equal(summary.Failures, want) || summary.Failed != want[kind] {
		t.Errorf("summary %+v, want all %q", summary, kind)
	}
}
