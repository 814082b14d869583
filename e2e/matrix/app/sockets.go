package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// sockets are the open WebSockets.
type sockets struct {
	lock   sync.Mutex
	open   map[*websocket.Conn]struct{}
	closed bool
}

// echo answers each message with the same message.
func (s *sockets) echo(w http.ResponseWriter, request *http.Request) {
	conn, err := websocket.Accept(w, request, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	if !s.add(conn) {
		conn.Close(websocket.StatusGoingAway, "")
		return
	}
	defer s.remove(conn)
	for {
		kind, message, err := conn.Read(context.Background())
		if err != nil || conn.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

// close closes all with code 1001 and waits for the answers of the clients, at most 5 s (coder/websocket).
func (s *sockets) close() {
	s.lock.Lock()
	s.closed = true
	var closing sync.WaitGroup
	for conn := range s.open {
		closing.Go(func() { conn.Close(websocket.StatusGoingAway, "") })
	}
	s.lock.Unlock()
	closing.Wait()
}

func (s *sockets) add(conn *websocket.Conn) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = map[*websocket.Conn]struct{}{}
	}
	s.open[conn] = struct{}{}
	return true
}

func (s *sockets) remove(conn *websocket.Conn) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.open, conn)
}
