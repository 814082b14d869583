package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
)

// webSockets sends messages over poolSize connections, in turn, and expects each of them back.
//
// A connection is established by the first message that needs it. When the server closes it with code 1001, this is
// counted as an orderly close, and the next message connects again. Every other end is a failure: of the messages that
// wait for their echo, or, if there are none, of the next message. A message whose echo is missing has failed, also
// after an orderly close: the client cannot know whether it was processed.
type webSockets struct {
	address string
	url     string
	sockets [poolSize]socket
	orderly atomic.Uint64
}

type socket struct {
	connecting chan struct{} // holds an element while a message connects
	session    atomic.Pointer[session]
}

func newWebSockets(address string, target *url.URL) *webSockets {
	pool := &webSockets{address: address, url: target.String()}
	for i := range pool.sockets {
		pool.sockets[i].connecting = make(chan struct{}, 1)
	}
	return pool
}

func (p *webSockets) call(ctx context.Context, seq uint64) failure {
	text := strconv.FormatUint(seq, 10)
	echo := make(chan failure, 1)
	current, kind := p.expect(ctx, &p.sockets[seq%poolSize], text, echo)
	if kind != "" {
		return kind
	}
	if err := current.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		current.writeFailed(classify(err, nil))
	}
	select {
	case kind := <-echo:
		return kind
	case <-ctx.Done():
		current.end(timeout)
		return timeout
	}
}

func (p *webSockets) orderlyCloses() uint64 { return p.orderly.Load() }

func (p *webSockets) close() {
	for i := range p.sockets {
		if current := p.sockets[i].session.Load(); current != nil {
			current.conn.CloseNow()
		}
	}
}

// expect returns the connection on which the echo of text is expected, or how the message failed.
func (p *webSockets) expect(ctx context.Context, s *socket, text string, echo chan failure) (*session, failure) {
	select {
	case s.connecting <- struct{}{}:
		defer func() { <-s.connecting }()
	case <-ctx.Done():
		return nil, timeout
	}
	if current := s.session.Load(); current != nil {
		open, kind := current.expect(text, echo)
		if open {
			return current, ""
		}
		s.session.Store(nil)
		if kind != "" {
			return nil, kind
		}
	}
	current, kind := p.connect(ctx)
	if kind != "" {
		return nil, kind
	}
	current.pending[text] = echo
	s.session.Store(current)
	go current.read(&p.orderly)
	return current, ""
}

func (p *webSockets) connect(ctx context.Context) (*session, failure) {
	var watched atomic.Pointer[watchedConn]
	transport := keptConnections.transport(p.address)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if conn, ok := conn.(*watchedConn); ok {
			watched.Store(conn)
		}
		return conn, err
	}
	conn, response, err := websocket.Dial(ctx, p.url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	switch {
	case err == nil:
		return &session{conn: conn, watched: watched.Load(), pending: map[string]chan failure{}}, ""
	case response != nil && response.StatusCode >= 500:
		return nil, serverError
	case response != nil:
		return nil, otherStatus
	default:
		return nil, classify(err, watched.Load())
	}
}

// session is one connection, from its handshake to its end.
type session struct {
	conn    *websocket.Conn
	watched *watchedConn

	lock       sync.Mutex
	pending    map[string]chan failure // messages that wait for their echo
	ended      bool
	unreported failure // a failure that no message has reported
	write      failure // of the first message that could not be sent
}

// expect registers a message, or returns false if the connection has ended, with a failure that the message reports.
func (s *session) expect(text string, echo chan failure) (open bool, kind failure) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.ended {
		kind, s.unreported = s.unreported, ""
		return false, kind
	}
	s.pending[text] = echo
	return true, ""
}

// writeFailed makes read find out how the connection ended: the server may have closed it in an orderly way before.
func (s *session) writeFailed(kind failure) {
	s.lock.Lock()
	if s.write == "" {
		s.write = kind
	}
	s.lock.Unlock()
	s.conn.CloseNow()
}

// read delivers echoes until the connection ends.
func (s *session) read(orderly *atomic.Uint64) {
	for {
		_, data, err := s.conn.Read(context.Background())
		if err != nil {
			s.end(s.howItEnded(err, orderly))
			return
		}
		s.lock.Lock()
		if echo, expected := s.pending[string(data)]; expected {
			delete(s.pending, string(data))
			echo <- ""
		}
		s.lock.Unlock()
	}
}

func (s *session) howItEnded(err error, orderly *atomic.Uint64) failure {
	switch websocket.CloseStatus(err) {
	case websocket.StatusGoingAway:
		orderly.Add(1)
		return ""
	case -1:
		kind := classify(err, s.watched)
		s.lock.Lock()
		defer s.lock.Unlock()
		if kind == other && s.write != "" {
			return s.write
		}
		return kind
	default:
		return closed
	}
}

// end fails the messages that wait for their echo. kind is how the connection ended: "" if in an orderly way.
func (s *session) end(kind failure) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.conn.CloseNow()
	if len(s.pending) == 0 {
		s.unreported = kind
	}
	if kind == "" {
		kind = closed
	}
	for _, echo := range s.pending {
		echo <- kind
	}
}
