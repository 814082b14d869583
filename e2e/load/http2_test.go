package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func TestHTTP2RequestsShareTheConnections(t *testing.T) {
	var requests atomic.Uint64
	var connections sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		if request.ProtoMajor == 2 && string(body) == "{}\n" {
			requests.Add(1)
		}
		connections.Store(request.RemoteAddr, nil)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	target, _ := url.Parse(server.URL)

	summary, _ := attack(t, t.Context(), short(target, http2))
	assertAll(t, summary, "")
	var used int
	connections.Range(func(any, any) bool { used++; return true })
	if requests.Load() != summary.Sent || used != poolSize {
		t.Errorf("%d requests of %d over %d connections", requests.Load(), summary.Sent, used)
	}
}

func TestHTTP2FailuresAreCountedByKindAndNotRetried(t *testing.T) {
	tests := []struct {
		name   string
		behave h2Behaviour
		want   failure
	}{
		{"answers", h2Status("200"), ""},
		{"refuses the stream", refuseStream, unprocessed},
		{"excludes the stream with GOAWAY", excludeStream, unprocessed},
		{"resets the connection", h2Reset, reset},
		{"does not respond", func(*h2Conn, uint32) bool { return true }, timeout},
		{"is unavailable", h2Status("503"), serverError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serveHTTP2(t, test.behave)
			summary, _ := attack(t, t.Context(), shortFor(test.want, s.url, http2))
			assertAll(t, summary, test.want)
			if got := uint64(s.requests.Load()); got != summary.Sent {
				t.Errorf("%d requests arrived of %d sent", got, summary.Sent)
			}
		})
	}
}

// http.Transport returns this error for a request whose connection closed before it was sent: it would need GetBody to
// send it. That is a race, so this test uses the text of errCannotRewind (Go 1.26).
func TestRequestThatWasNotSentIsUnprocessed(t *testing.T) {
	err := errors.New("net/http: cannot rewind body after connection loss")
	if got := classify(err, nil); got != unprocessed {
		t.Errorf("classified as %q", got)
	}
}

// The control: a plain client hides these failures by sending the request again.
func TestPlainHTTP2ClientRetries(t *testing.T) {
	for name, behave := range map[string]h2Behaviour{"REFUSED_STREAM": refuseStream, "GOAWAY": excludeStream} {
		s := serveHTTP2(t, onceThen(behave, h2Status("200")))
		client := &http.Client{Transport: http2.transport(s.url.Host)}
		response, err := client.Post(s.url.String(), "", strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		response.Body.Close()
		if got := s.requests.Load(); got != 2 {
			t.Errorf("%s: %d requests arrived for 1 call, want 2", name, got)
		}
	}
}

// h2Server responds with single frames, so that it can also refuse a request that has arrived. It serves gRPC as well.
type h2Server struct {
	url      *url.URL
	requests atomic.Int64
}

type h2Conn struct {
	*frames.Framer
	tcp *net.TCPConn
}

// h2Behaviour handles the request with this stream and returns whether the connection stays open.
type h2Behaviour func(conn *h2Conn, stream uint32) bool

func serveHTTP2(t *testing.T, behave h2Behaviour) *h2Server {
	t.Helper()
	s := &h2Server{}
	s.url = listen(t, func(conn *net.TCPConn) { s.handle(conn, behave) }).JoinPath("test.Echo/Call")
	return s
}

func (s *h2Server) handle(tcp *net.TCPConn, behave h2Behaviour) {
	defer tcp.Close()
	if _, err := io.CopyN(io.Discard, tcp, int64(len(frames.ClientPreface))); err != nil {
		return
	}
	conn := &h2Conn{frames.NewFramer(tcp, tcp), tcp}
	conn.WriteSettings()
	for {
		frame, err := conn.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *frames.SettingsFrame:
			if !frame.IsAck() {
				conn.WriteSettingsAck()
			}
		case *frames.PingFrame:
			if !frame.IsAck() {
				conn.WritePing(true, frame.Data)
			}
		case *frames.DataFrame:
			if !frame.StreamEnded() {
				continue
			}
			s.requests.Add(1)
			if !behave(conn, frame.StreamID) {
				return
			}
		}
	}
}

// headers writes a header frame of fields "name: value".
func (c *h2Conn) headers(stream uint32, end bool, fields ...string) {
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	c.WriteHeaders(frames.HeadersFrameParam{
		StreamID: stream, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: end,
	})
}

func h2Status(code string) h2Behaviour {
	return func(conn *h2Conn, stream uint32) bool {
		conn.headers(stream, true, ":status: "+code)
		return true
	}
}

func refuseStream(conn *h2Conn, stream uint32) bool {
	conn.WriteRSTStream(stream, frames.ErrCodeRefusedStream)
	return true
}

// excludeStream says that the request was not processed, and nothing after it.
func excludeStream(conn *h2Conn, stream uint32) bool {
	conn.WriteGoAway(stream-1, frames.ErrCodeNo, nil)
	return true
}

func h2Reset(conn *h2Conn, _ uint32) bool {
	conn.tcp.SetLinger(0)
	return false
}

// onceThen behaves in one way for the first request of all connections, and in another way for all others.
func onceThen(first, others h2Behaviour) h2Behaviour {
	var requests atomic.Int64
	return func(conn *h2Conn, stream uint32) bool {
		if requests.Add(1) == 1 {
			return first(conn, stream)
		}
		return others(conn, stream)
	}
}
