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
	s := &server{}
	s.url = listen(t, func(conn *net.TCPConn) {
		s.connections.Add(1)
		s.handle(conn, behave)
	})
	return s
}

// listen handles each connection in a goroutine, until the end of the test, and returns the URL.
func listen(t *testing.T, handle func(*net.TCPConn)) *url.URL {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
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
			open.Store(conn, nil)
			go handle(conn)
		}
	}()
	return &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
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
