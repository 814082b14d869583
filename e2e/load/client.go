package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// client sends each request of Vegeta exactly once.
type client interface {
	http.RoundTripper
	// outcome returns how the request failed, or "" if it succeeded. It may be called once for each result.
	outcome(*vegeta.Result) failure
	// orderlyCloses returns how many WebSockets the server closed with code 1001.
	orderlyCloses() uint64
	close()
}

func newClient(o options, address string) client {
	switch o.connections {
	case grpcCalls:
		return &calls{protocol: newGRPC(address, o.target.Path), timeout: o.timeout}
	case webSocket:
		return &calls{protocol: newWebSockets(address, o.target), timeout: o.timeout}
	case http2:
		transports := make([]*http.Transport, poolSize)
		for i := range transports {
			transports[i] = o.connections.transport(address)
		}
		return newSingleAttempt(o.timeout, transports...)
	default:
		return newSingleAttempt(o.timeout, o.connections.transport(address))
	}
}

// protocol is one that does not consist of HTTP requests.
type protocol interface {
	// call sends one message and waits for its answer. It returns "" if the answer arrived.
	call(ctx context.Context, seq uint64) failure
	orderlyCloses() uint64
	close()
}

// calls makes one call for each request of Vegeta.
type calls struct {
	outcomes
	protocol
	timeout time.Duration
}

func (c *calls) RoundTrip(request *http.Request) (*http.Response, error) {
	defer request.Body.Close()
	seq, err := sequence(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(request.Context(), c.timeout)
	defer cancel()
	if kind := c.call(ctx, seq); kind != "" {
		c.failed(seq, kind)
		return nil, errors.New(string(kind))
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: request}, nil
}

// outcomes stores how requests failed. Vegeta's results contain only the text of an error, so the kind of failure is
// stored here, by sequence number, until the result is processed.
type outcomes struct {
	failures sync.Map // sequence number (uint64) to failure
}

func (o *outcomes) failed(seq uint64, kind failure) { o.failures.Store(seq, kind) }

func (o *outcomes) outcome(result *vegeta.Result) failure {
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

// sequence returns the number that Vegeta gave to the request.
func sequence(request *http.Request) (uint64, error) {
	return strconv.ParseUint(request.Header.Get("X-Vegeta-Seq"), 10, 64)
}
