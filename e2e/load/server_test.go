package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// server responds on raw connections, so that it can also break them.
type server struct {
	url         *url.URL
	connections atomic.Int64
	requests    atomic.Int64
}

// behaviour handles the nth request on a connection (starting at 1) and returns whether the connection stays open.
type behaviour func(conn *net.TCPConn, nth int) bool

func serve(t *testing.T, behave behaviour) *server {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}}
	var open sync.Map
	t.Cleanup(func() {
		listener.Close()
		open.Range(func(conn, _ any) bool {
			conn.(net.Conn).Close()
			return true
		})
	})
	go func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			s.connections.Add(1)
			open.Store(conn, nil)
			go s.handle(conn, behave)
		}
	}()
	return s
}

func (s *server) handle(conn *net.TCPConn, behave behaviour) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for nth := 1; ; nth++ {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		s.requests.Add(1)
		if !behave(conn, nth) {
			return
		}
	}
}

func write(raw string, keepOpen bool) behaviour {
	return func(conn *net.TCPConn, _ int) bool {
		_, err := io.WriteString(conn, raw)
		return err == nil && keepOpen
	}
}

var ok = write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)

func resetConnection(conn *net.TCPConn, _ int) bool {
	conn.SetLinger(0)
	return false
}

func closeConnection(*net.TCPConn, int) bool { return false }

func noResponse(*net.TCPConn, int) bool { return true }

// okOnce responds to the first request on a connection and resets the connection during the second.
func okOnce(conn *net.TCPConn, nth int) bool {
	if nth == 1 {
		return ok(conn, nth)
	}
	return resetConnection(conn, nth)
}
