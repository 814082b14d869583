package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Of WINDDOWN_DEADLINE_SECONDS.
const defaultSeconds, maxSeconds = 25, 30 * 24 * 60 * 60

type shutdown struct {
	begun          atomic.Bool
	signalled      chan struct{} // closed by the first signal
	wait, deadline time.Duration
	signalAt       time.Time
}

// newShutdown begins to handle signals. The wait is a part of the deadline: at least half of it remains for requests.
func newShutdown(wait time.Duration) *shutdown {
	seconds := uint64(defaultSeconds)
	if text, set := os.LookupEnv("WINDDOWN_DEADLINE_SECONDS"); set {
		if value, err := strconv.ParseUint(text, 10, 31); err == nil && value <= maxSeconds {
			seconds = value
		} else {
			slog.Warn("service", "event", "setting-not-used", "WINDDOWN_DEADLINE_SECONDS", text, "used", seconds)
		}
	}
	deadline := time.Duration(seconds) * time.Second
	s := &shutdown{signalled: make(chan struct{}), wait: min(wait, deadline/2), deadline: deadline}
	// Otherwise a line of the log ends the process when stdout is closed.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go s.handle(signals)
	return s
}

// handle begins the shutdown also while the service is still starting. At the deadline, the process exits with 1.
func (s *shutdown) handle(signals <-chan os.Signal) {
	name := <-signals
	s.signalAt = time.Now()
	s.begun.Store(true)
	// Before the first line of the log: each of them blocks while stdout is full.
	time.AfterFunc(s.deadline+200*time.Millisecond, func() { os.Exit(1) })
	s.log("begun", "signal", name.String())
	time.AfterFunc(s.deadline, func() {
		s.log("deadline-passed")
		os.Exit(1)
	})
	close(s.signalled)
	for name := range signals {
		s.log("signal-ignored", "signal", name.String())
	}
}

// serve returns nil after SIGTERM or SIGINT, when no connection is left.
func (s *shutdown) serve(server *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case <-s.signalled:
	}
	// Not SetKeepAlivesEnabled(false): it closes idle connections immediately, while their clients still send.
	time.Sleep(s.wait)
	drained := make(chan error, 1)
	go func() { drained <- server.Shutdown(context.Background()) }()
	<-stopped
	s.log("listeners-closed")
	err := <-drained
	s.log("connections-closed")
	return err
}

func (s *shutdown) log(name string, more ...any) {
	slog.Info("service", append([]any{"event", name, "ms", time.Since(s.signalAt).Milliseconds()}, more...)...)
}
