package testing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// client is one connection without retries.
type client struct {
	net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, s *service) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newClient(conn)
}

func newClient(conn net.Conn) *client {
	_ = conn.SetDeadline(time.Now().Add(2 * bound))
	return &client{Conn: conn, reader: bufio.NewReader(conn)}
}

// exchange sends a request, and returns whether its answer tells the client to close.
func (c *client) exchange() (closes bool, err error) {
	if err := c.send("POST", "/", []byte("{}")); err != nil {
		return false, err
	}
	answer, err := c.answer()
	if err != nil {
		return false, err
	}
	if answer.StatusCode != http.StatusOK {
		return false, fmt.Errorf("status %d", answer.StatusCode)
	}
	return answer.Close, nil
}

func (c *client) send(method, path string, body []byte) error {
	request, err := http.NewRequest(method, "http://service"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return request.Write(c.Conn)
}

// answer reads one answer to the end.
func (c *client) answer() (*http.Response, error) {
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer, err
}

// assertAnswer checks the next answer on the connection, and whether it tells the client to close.
func (c *client) assertAnswer(t *testing.T, status int, closes bool) {
	t.Helper()
	answer, err := c.answer()
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if answer.StatusCode != status || answer.Close != closes {
		t.Errorf("status %d, Connection: close %t; want %d, %t", answer.StatusCode, answer.Close, status, closes)
	}
}

func (c *client) assertGet(t *testing.T, path string, status int, closes bool) {
	t.Helper()
	if err := c.send("GET", path, nil); err != nil {
		t.Fatal(err)
	}
	c.assertAnswer(t, status, closes)
}

// assertDropped checks that the open request gets no answer.
func (c *client) assertDropped(t *testing.T) {
	t.Helper()
	answer, err := c.answer()
	if err == nil {
		t.Errorf("the request was answered with %d", answer.StatusCode)
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the request ended with %v", err)
	}
}

// assertClosed waits for the server to close the connection.
func (c *client) assertClosed(t *testing.T) {
	t.Helper()
	if _, err := c.reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v, not with an orderly close", err)
	}
}

// assertRefused waits for the listener to refuse connections: the log may be a moment earlier.
func assertRefused(t *testing.T, s *service) {
	t.Helper()
	for limit := time.Now().Add(bound); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
		if time.Now().After(limit) {
			t.Fatal("the listener still accepts connections")
		}
	}
}
