package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// webSocketServer counts the messages that arrive. behave handles the nth message of a connection (starting at 1) and
// returns whether the connection stays open.
type webSocketServer struct {
	url         *url.URL
	connections atomic.Uint64
	messages    atomic.Uint64
}

type webSocketBehaviour func(conn *webSocketConn, nth int, message []byte) bool

type webSocketConn struct {
	*websocket.Conn
	tcp *net.TCPConn
}

func serveWebSockets(t *testing.T, behave webSocketBehaviour) *webSocketServer {
	t.Helper()
	s := &webSocketServer{}
	var sockets sync.Map // by remote address
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		conn, err := websocket.Accept(w, request, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		tcp, _ := sockets.Load(request.RemoteAddr)
		s.connections.Add(1)
		for nth := 1; ; nth++ {
			_, message, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			s.messages.Add(1)
			if !behave(&webSocketConn{conn, tcp.(*net.TCPConn)}, nth, message) {
				return
			}
		}
	}))
	server.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateNew {
			sockets.Store(conn.RemoteAddr().String(), conn)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s.url, _ = url.Parse(server.URL)
	return s
}

func echo(conn *webSocketConn, _ int, message []byte) bool {
	return conn.Write(context.Background(), websocket.MessageText, message) == nil
}

// afterTwo echoes two messages and ends the connection right after the second echo.
func afterTwo(end func(*webSocketConn)) webSocketBehaviour {
	return func(conn *webSocketConn, nth int, message []byte) bool {
		open := echo(conn, nth, message)
		if nth == 2 {
			end(conn)
			return false
		}
		return open
	}
}

func closeWith(code websocket.StatusCode) func(*webSocketConn) {
	return func(conn *webSocketConn) { conn.Close(code, "") }
}

func abort(conn *webSocketConn) {
	conn.tcp.SetLinger(0)
	conn.CloseNow()
}

func TestWebSocketFailuresAreCountedByKind(t *testing.T) {
	tests := []struct {
		name   string
		behave webSocketBehaviour
		want   failure
	}{
		{"echoes", echo, ""},
		{"does not echo", func(*webSocketConn, int, []byte) bool { return true }, timeout},
		{"echoes something else", func(conn *webSocketConn, nth int, _ []byte) bool { return echo(conn, nth, []byte("?")) }, timeout},
		{"resets", func(conn *webSocketConn, _ int, _ []byte) bool { abort(conn); return false }, reset},
		{"ends without a close frame", func(*webSocketConn, int, []byte) bool { return false }, reset},
		{"closes with 1011", func(conn *webSocketConn, _ int, _ []byte) bool { closeWith(1011)(conn); return false }, closed},
		{"closes with 1001 before the echo", func(conn *webSocketConn, _ int, _ []byte) bool { closeWith(1001)(conn); return false }, closed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serveWebSockets(t, test.behave)
			summary, _ := attack(t, t.Context(), shortFor(test.want, s.url, webSocket))
			assertAll(t, summary, test.want)
			if got := s.messages.Load(); got != summary.Sent {
				t.Errorf("%d messages arrived of %d sent", got, summary.Sent)
			}
		})
	}
}

func TestHandshakesThatFailAreCountedByKind(t *testing.T) {
	t.Parallel()
	status := func(code int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	}
	absent := status(http.StatusOK)
	absent.Close()
	for _, test := range []struct {
		server *httptest.Server
		want   failure
	}{{status(http.StatusServiceUnavailable), serverError}, {status(http.StatusOK), otherStatus}, {absent, refused}} {
		target, _ := url.Parse(test.server.URL)
		summary, _ := attack(t, t.Context(), shortFor(test.want, target, webSocket))
		assertAll(t, summary, test.want)
		test.server.Close()
	}
}

func TestCode1001IsAnOrderlyCloseFollowedByAReconnect(t *testing.T) {
	t.Parallel()
	s := serveWebSockets(t, afterTwo(closeWith(websocket.StatusGoingAway)))
	summary, seconds := attack(t, t.Context(), slow(s.url))
	assertAll(t, summary, "")
	if s.messages.Load() != summary.Sent || s.connections.Load() <= poolSize {
		t.Errorf("%d messages of %d over %d connections", s.messages.Load(), summary.Sent, s.connections.Load())
	}
	var closes uint64
	for _, second := range seconds {
		closes += second.OrderlyCloses
	}
	if summary.OrderlyCloses < poolSize || closes != summary.OrderlyCloses {
		t.Errorf("%d orderly closes, and %d in the lines", summary.OrderlyCloses, closes)
	}
}

// The control for the close above: no message waits for its echo, and still each other end is one failure.
func TestEveryOtherEndBetweenMessagesIsOneFailure(t *testing.T) {
	t.Parallel()
	for want, end := range map[failure]func(*webSocketConn){
		closed: closeWith(websocket.StatusInternalError),
		reset:  abort,
	} {
		s := serveWebSockets(t, afterTwo(end))
		summary, _ := attack(t, t.Context(), slow(s.url))
		// Each connection carries two messages, and the next message reports its end without being sent.
		if arrived := s.messages.Load(); summary.Failed == 0 || summary.Failures[want] != summary.Failed ||
			arrived+summary.Failed != summary.Sent || summary.OrderlyCloses != 0 {
			t.Errorf("%s: %d messages arrived, summary %+v", want, arrived, summary)
		}
	}
}

func TestWebSocketsAreKept(t *testing.T) {
	t.Parallel()
	s := serveWebSockets(t, echo)
	summary, _ := attack(t, t.Context(), slow(s.url))
	if s.connections.Load() != poolSize || summary.Sent <= poolSize {
		t.Errorf("%d connections for %d messages", s.connections.Load(), summary.Sent)
	}
}

// slow leaves so much time between the messages of a connection that its end arrives before the next message.
func slow(target *url.URL) options {
	o := short(target, webSocket)
	o.rate, o.duration = 50, time.Second
	return o
}
