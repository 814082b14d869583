package testing

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// endpoint is what kube-proxy is to clients: a fixed address whose new connections go to one service, while older
// connections stay with the service that they were made to.
type endpoint struct {
	address string
	service atomic.Pointer[service]
}

func newEndpoint(t *testing.T, first *service) *endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{address: listener.Addr().String()}
	e.service.Store(first)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(client.(*net.TCPConn), e.service.Load().address)
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return e
}

// forward copies both directions until both sides have closed. A failure of one side is a reset for the other.
func forward(client *net.TCPConn, address string) {
	defer client.Close()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		_ = client.SetLinger(0)
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()

	var both sync.WaitGroup
	both.Go(func() { transfer(server, client) })
	both.Go(func() { transfer(client, server) })
	both.Wait()
}

func transfer(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = to.SetLinger(0)
		_ = from.SetLinger(0)
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite()
}
