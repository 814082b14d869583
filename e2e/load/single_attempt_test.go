package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestResetOnKeptConnectionIsCountedOnce(t *testing.T) {
	s := serve(t, okOnce)
	summary, _ := attack(t, t.Context(), short(s.url, keptConnections))

	broken := uint64(s.requests.Load() - s.connections.Load())
	if broken == 0 || summary.Failures[reset] != broken || summary.Failed != broken {
		t.Errorf("%d requests were reset, summary %+v", broken, summary)
	}
	if got := uint64(s.requests.Load()); got != summary.Sent {
		t.Errorf("%d requests arrived of %d sent", got, summary.Sent)
	}
}

// The control: with the same server, a plain client hides the resets by retrying the request.
func TestPlainClientRetriesResetOnKeptConnection(t *testing.T) {
	s := serve(t, okOnce)
	client := &http.Client{Transport: keptConnections.transport(s.url.Host)}
	for range 2 {
		response, err := client.Get(s.url.String())
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	if got := s.requests.Load(); got != 3 {
		t.Errorf("%d requests arrived for 2 calls, want 3", got)
	}
}

func TestUnwrittenRequestOnKeptConnectionIsNotRetried(t *testing.T) {
	for _, test := range []struct {
		name string
		wrap func(*http.Transport) http.RoundTripper
		want failure
	}{
		{"singleAttempt", func(next *http.Transport) http.RoundTripper { return newSingleAttempt(time.Second, next) }, reset},
		{"control", func(next *http.Transport) http.RoundTripper { return next }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, ok)
			transport := keptConnections.transport(s.url.Host)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return &brokenAfterFirstWrite{Conn: conn}, err
			}
			client := &http.Client{Transport: test.wrap(transport)}
			if err := post(client, s.url.String()); err != nil {
				t.Fatal(err)
			}
			err := post(client, s.url.String())
			if (err == nil) != (test.want == "") || err != nil && classify(err, nil) != test.want {
				t.Errorf("second request: %v, want %q", err, test.want)
			}
		})
	}
}

// brokenAfterFirstWrite simulates a peer that closes the connection before the second request is written.
type brokenAfterFirstWrite struct {
	net.Conn
	wrote bool
}

func (c *brokenAfterFirstWrite) Write(p []byte) (int, error) {
	if c.wrote {
		return 0, &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	c.wrote = true
	return c.Conn.Write(p)
}

func post(client *http.Client, url string) error {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vegeta-Seq", "0")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// The server closed an idle connection, and the client used it before it detected the close.
func TestEndOfKeptConnectionIsAReset(t *testing.T) {
	conn := &watchedConn{}
	end := io.EOF
	conn.readError.Store(&end)
	if got := classify(errors.New("http: server closed idle connection"), conn); got != reset {
		t.Errorf("classified as %q", got)
	}
}

// Loopback cannot become unreachable, so this test uses the error that the kernel returns.
func TestNoRouteIsUnreachable(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
		if got := classify(err, nil); got != unreachable {
			t.Errorf("%v classified as %q", err, got)
		}
	}
}
