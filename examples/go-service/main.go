// An HTTP server that shuts down without dropping a request. Copy shutdown.go and response.go into your service.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	work := time.Duration(number("WORK_MS", 50)) * time.Millisecond
	s := newShutdown(time.Duration(number("SHUTDOWN_WAIT_MS", 1000)) * time.Millisecond)

	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if s.begun.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// A body that is still unread when its connection closes makes the kernel send a reset after the response.
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		time.Sleep(work)
		_, _ = io.WriteString(w, "done\n")
	})

	time.Sleep(time.Duration(number("START_MS", 0)) * time.Millisecond) // as a connection to a database
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", number("PORT", 3000)))
	if err != nil {
		fail(err)
	}
	slog.Info("service", "event", "listening", "port", listener.Addr().(*net.TCPAddr).Port)
	// Clients must close idle connections before the server does: its idle timeout is longer than theirs.
	// A client that stops in the middle of a request must not hold the shutdown until the deadline: wait and ReadTimeout
	// together are shorter.
	server := &http.Server{Handler: s.tellToClose(mux), ReadTimeout: 20 * time.Second, IdleTimeout: 75 * time.Second}
	if err := s.serve(server, listener); err != nil {
		fail(err)
	}
	// Close database, cache and queue here: no request is open any more.
	s.log("finished", "exitCode", 0)
}

// number reads a whole number from the environment.
func number(name string, fallback int) int {
	text, set := os.LookupEnv(name)
	if !set {
		return fallback
	}
	value, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		fail(fmt.Errorf("%s=%s: not a whole number", name, text))
	}
	return int(value)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go-service:", err)
	os.Exit(1)
}
