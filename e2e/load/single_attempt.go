package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// singleAttempt sends each request exactly once and records how it failed. Vegeta's results contain only the text of an
// error, so the kind of failure is stored here, by sequence number, until the result is processed.
//
// The timeout is implemented here as well: http.Client cancels a request in two ways that race with each other, and one
// of them returns an untyped error.
type singleAttempt struct {
	next     http.RoundTripper
	timeout  time.Duration
	failures sync.Map // sequence number (uint64) to failure
}

func newSingleAttempt(next http.RoundTripper, timeout time.Duration) *singleAttempt {
	return &singleAttempt{next: next, timeout: timeout}
}

// RoundTrip removes GetBody from the request. When a kept connection breaks, http.Transport retries the request on
// another connection in two cases (shouldRetryRequest, Go 1.26): nothing was written yet, or the request is replayable
// (for example a GET, or with an idempotency key). Both require an empty body or GetBody, so a request with a body and
// without GetBody is never retried.
func (s *singleAttempt) RoundTrip(request *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(request.Header.Get("X-Vegeta-Seq"), 10, 64)
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

	response, err := s.next.RoundTrip(request)
	failed := func(err error) { s.failures.Store(seq, classify(err, used.Load())) }
	if err != nil {
		cancel()
		failed(err)
		return nil, err
	}
	response.Body = &watchedBody{ReadCloser: response.Body, failed: failed, closed: cancel}
	return response, nil
}

// outcome returns how the request failed, or "" if it succeeded.
func (s *singleAttempt) outcome(result *vegeta.Result) failure {
	if kind, failed := s.failures.LoadAndDelete(result.Seq); failed {
		return kind.(failure)
	}
	switch code := result.Code; {
	case code >= 200 && code < 300:
		return ""
	case code >= 500:
		return serverError
	case code > 0:
		return otherStatus
	default:
		return other
	}
}

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
