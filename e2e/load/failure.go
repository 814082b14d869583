package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// failure is the kind of a failed request.
type failure string

const (
	refused     failure = "refused"
	reset       failure = "reset"
	timeout     failure = "timeout"
	unreachable failure = "unreachable"
	// HTTP/2 and gRPC: REFUSED_STREAM, a GOAWAY that excludes the request, or a connection that closed before the request
	// was sent. The server did not process it, so a client may send it again.
	unprocessed failure = "unprocessed"
	// WebSocket: the server closed the connection before the echo, or with another code than 1001.
	closed      failure = "closed"
	serverError failure = "5xx"
	otherStatus failure = "other-status"
	other       failure = "other"
)

// classify returns the kind of failure of a request without a complete response. conn is its connection, or nil if none
// was established.
func classify(err error, conn *watchedConn) failure {
	kind := classifyError(err)
	if kind == other && conn != nil {
		if read := conn.readError.Load(); read != nil {
			return classifyError(*read)
		}
	}
	return kind
}

func classifyError(err error) failure {
	var network net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	// For the client, an end of stream in place of a response is the same failure as a reset.
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return unreachable
	// http.Transport has no type for these errors.
	case strings.Contains(err.Error(), "GOAWAY"), strings.Contains(err.Error(), "REFUSED_STREAM"),
		strings.Contains(err.Error(), "cannot rewind body"):
		return unprocessed
	default:
		return other
	}
}
