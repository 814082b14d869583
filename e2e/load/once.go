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

// once sends each request exactly once and remembers how it failed. Vegeta's results carry an error's text only, so
// the kind is kept here under the request's sequence number until its result comes by.
//
// The time-out is here too: http.Client's own cancels the request in two ways that race, and one of them leaves an
// error without a type.
type once struct {
	next     http.RoundTripper
	timeout  time.Duration
	failures sync.Map // sequence number (uint64) to failure
}

func newOnce(next http.RoundTripper, timeout time.Duration) *once {
	return &once{next: next, timeout: timeout}
}

// RoundTrip takes the request's GetBody away. http.Transport sends a request again on another connection when a kept
// one breaks under it, in two cases (shouldRetryRequest, Go 1.26). Nothing had been written yet, and the body is empty
// or GetBody can make it anew. Or the request is replayable, which a method like GET or an idempotency key makes it,
// again only when the body is empty or comes with GetBody. With a body and without GetBody neither holds.
func (o *once) RoundTrip(request *http.Request) (*http.Response, error) {
	seq, err := strconv.ParseUint(request.Header.Get("X-Vegeta-Seq"), 10, 64)
	if err != nil {
		return nil, err
	}

	var used atomic.Pointer[watchedConn]
	ctx, cancel := context.WithTimeout(request.Context(), o.timeout)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if conn, ok := info.Conn.(*watchedConn); ok {
				used.Store(conn)
			}
		},
	})
	request = request.WithContext(ctx)
	request.GetBody = nil

	response, err := o.next.RoundTrip(request)
	failed := func(err error) { o.failures.Store(seq, classify(err, used.Load())) }
	if err != nil {
		cancel()
		failed(err)
		return nil, err
	}
	response.Body = &watchedBody{ReadCloser: response.Body, failed: failed, closed: cancel}
	return response, nil
}

// outcome says how the request of result failed; it is empty when it did not.
func (o *once) outcome(result *vegeta.Result) failure {
	if kind, failed := o.failures.LoadAndDelete(result.Seq); failed {
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

// watchedBody notices an answer that breaks off after its header.
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

// watchedConn remembers the error that ended its reading: for a kept connection that the server closed, http.Transport
// returns an error of its own which has no type and hides this one.
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
