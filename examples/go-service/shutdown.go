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

type shutdown struct {
	begun          atomic.Bool
	signals        chan os.Signal
	wait, deadline time.Duration
	signalAt       time.Time
}

// newShutdown begins to handle signals. The wait is a part of the deadline: at least half of it remains for requests.
func newShutdown(wait time.Duration) *shutdown {
	deadline := 25 * time.Second
	text, set := os.LookupEnv("WINDDOWN_DEADLINE_SECONDS")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		deadline = time.Duration(seconds) * time.Second
	} else if set {
		slog.Warn("service", "event", "setting-not-used", "WINDDOWN_DEADLINE_SECONDS", text)
	}
	s := &shutdown{signals: make(chan os.Signal, 8), wait: min(wait, deadline/2), deadline: deadline}
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGINT)
	return s
}

// serve returns nil after SIGTERM or SIGINT, when no connection is left. At the deadline, the process exits with 1.
func (s *shutdown) serve(server *http.Server, listener net.Listener) error {
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	select {
	case err := <-stopped:
		return err
	case name := <-s.signals:
		s.signalAt = time.Now()
		s.begun.Store(true)
		s.log("begun", "signal", name.String())
	}
	time.AfterFunc(s.deadline, func() {
		s.log("deadline-passed")
		os.Exit(1)
	})
	go func() {
		for name := range s.signals {
			s.log("signal-ignored", "signal", name.String())
		}
	}()

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

// tellToClose adds Connection: close to every answer that starts after the signal.
func (s *shutdown) tellToClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w, begun: &s.begun}
		next.ServeHTTP(answer, r)
		answer.start()
	})
}

type answer struct {
	http.ResponseWriter
	begun   *atomic.Bool
	started bool
}

func (a *answer) start() {
	if !a.started && a.begun.Load() {
		a.Header().Set("Connection", "close")
	}
	a.started = true
}

func (a *answer) WriteHeader(status int)         { a.start(); a.ResponseWriter.WriteHeader(status) }
func (a *answer) Write(body []byte) (int, error) { a.start(); return a.ResponseWriter.Write(body) }
func (a *answer) Flush()                         { a.start(); _ = http.NewResponseController(a.ResponseWriter).Flush() }
func (a *answer) Unwrap() http.ResponseWriter    { return a.ResponseWriter }

func (s *shutdown) log(name string, more ...any) {
	slog.Info("service", append([]any{"event", name, "ms", time.Since(s.signalAt).Milliseconds()}, more...)...)
}
