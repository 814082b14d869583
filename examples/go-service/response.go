package main

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
)

// tellToClose adds Connection: close to every response that starts after the signal.
func (s *shutdown) tellToClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response := &response{ResponseWriter: w, begun: &s.begun}
		next.ServeHTTP(response, r)
		response.start()
	})
}

type response struct {
	http.ResponseWriter
	begun   *atomic.Bool
	started bool
}

func (r *response) start() {
	if !r.started && r.begun.Load() {
		r.Header().Set("Connection", "close")
	}
	r.started = true
}

func (r *response) WriteHeader(status int) {
	if status >= http.StatusOK { // 1xx: the response follows, or another protocol
		r.start()
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(body []byte) (int, error) { r.start(); return r.ResponseWriter.Write(body) }
func (r *response) Flush()                         { r.start(); _ = http.NewResponseController(r.ResponseWriter).Flush() }
func (r *response) Unwrap() http.ResponseWriter    { return r.ResponseWriter }

// Hijack is for packages that do not use Unwrap, such as gorilla/websocket.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(r.ResponseWriter).Hijack()
}
