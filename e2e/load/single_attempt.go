package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// singleAttempt sends each HTTP request exactly once and records how it failed.
//
// The timeout is implemented here as well: http.Client cancels a request in two ways that race with each other, and one
// of them returns an untyped error.
type singleAttempt struct {
	outcomes
	next    []*http.Transport // used in turn
	timeout time.Duration
}

func newSingleAttempt(timeout time.Duration, next ...*http.Transport) *singleAttempt {
	return &singleAttempt{next: next, timeout: timeout}
}

// RoundTrip removes GetBody from the request. http.Transport retries a request on another connection (Go 1.26):
//   - HTTP/1.1 (shouldRetryRequest): a kept connection breaks and nothing was written yet, or the request is replayable
//     (for example a GET, or with an idempotency key);
//   - HTTP/2 (http2shouldRetryRequest): the server refused the stream, or its GOAWAY excludes it.
//
// All of these require an empty body or GetBody, so a request with a body and without GetBody is never retried. A
// request for which an HTTP/2 connection turns out to be closing before anything was sent takes another one.
func (s *singleAttempt) RoundTrip(request *http.Request) (*http.Response, error) {
	seq, err := sequence(request)
	if err != nil {
		return nil, err
	}

	var used atomic.Pointer[watchedConn]
	ctx, cancel := context.WithTimeout(request.Context(), s.timeout)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if conn, ok := info.Conn.(*watchedConn); ok {
				used.Store(conn)
			}
		},
	})
	request = request.WithContext(ctx)
	request.GetBody = nil

	response, err := s.next[seq%uint64(len(s.next))].RoundTrip(request)
	failed := func(err error) { s.failed(seq, classify(err, used.Load())) }
	if err != nil {
		cancel()
		failed(err)
		return nil, err
	}
	response.Body = &watchedBody{ReadCloser: response.Body, failed: failed, closed: cancel}
	return response, nil
}

func (s *singleAttempt) close() {
	for _, transport := range s.next {
		transport.CloseIdleConnections()
	}
}

func (s *singleAttempt) orderlyCloses() uint64 { return 0 }

// watchedBody detects a response that is interrupted after its header.
type watchedBody struct {
	io.ReadCloser
	failed func(error)
	closed func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.failed(err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	defer b.closed()
	return b.ReadCloser.Close()
}

// watchedConn records the first read error. For a kept connection that the server closed, http.Transport returns an
// untyped error that hides it.
type watchedConn struct {
	net.Conn
	readError atomic.Pointer[error]
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.readError.CompareAndSwap(nil, &err)
	}
	return n, err
}
