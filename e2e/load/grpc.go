package main

import (
	"context"
	"net"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// grpcPool makes unary calls over poolSize connections, in turn. As by default, a call fails at once while its connection
// cannot be established (no wait-for-ready), and gRPC waits at least about 1 s after a failed attempt to connect.
type grpcPool struct {
	method      string
	connections [poolSize]*grpc.ClientConn
}

func newGRPC(address, method string) *grpcPool {
	pool := &grpcPool{method: method}
	for i := range pool.connections {
		// The options are valid, so there is no error; the connection is established by the first call.
		pool.connections[i], _ = grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}),
			grpc.WithDisableRetry(),
			grpc.WithDisableServiceConfig(),
			grpc.WithStatsHandler(attemptCounter{}),
		)
	}
	return pool
}

// call counts a call that gRPC sent twice as failed. "Transparent retries" cannot be disabled: after REFUSED_STREAM, or a
// GOAWAY that excludes the call, gRPC sends it once more, because the server did not process it. A call that found its
// connection closed before anything was sent takes the next connection, and that is not a second attempt.
func (p *grpcPool) call(ctx context.Context, seq uint64) failure {
	var written attempts
	ctx = context.WithValue(ctx, attemptsKey{}, &written)
	err := p.connections[seq%poolSize].Invoke(ctx, p.method, &emptypb.Empty{}, &emptypb.Empty{})
	if written.Load() > 1 {
		return unprocessed
	}
	return classifyStatus(err)
}

func (p *grpcPool) orderlyCloses() uint64 { return 0 }

func (p *grpcPool) close() {
	for _, connection := range p.connections {
		connection.Close()
	}
}

// classifyStatus reads the text of an error: gRPC returns errors of the connection as a status with a text.
func classifyStatus(err error) failure {
	if err == nil {
		return ""
	}
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return timeout
	case codes.Unavailable:
	default:
		return otherStatus
	}
	for _, row := range []struct {
		text string
		kind failure
	}{
		{"unexpected HTTP status code", serverError},
		{"REFUSED_STREAM", unprocessed},
		{"connection refused", refused},
		{"no route to host", unreachable},
		{"network is unreachable", unreachable},
		{"i/o timeout", timeout},
		{"connection reset", reset},
		{"broken pipe", reset},
		{"EOF", reset},
		{"use of closed network connection", reset},
		{"transport is closing", reset},
		{"closing transport due to", reset},
	} {
		if strings.Contains(err.Error(), row.text) {
			return row.kind
		}
	}
	return serverError
}

// attempts counts how often the headers of one call were written.
type attempts struct{ atomic.Int32 }

type attemptsKey struct{}

type attemptCounter struct{}

func (attemptCounter) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if _, written := event.(*stats.OutHeader); written {
		if count, ok := ctx.Value(attemptsKey{}).(*attempts); ok {
			count.Add(1)
		}
	}
}

func (attemptCounter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (attemptCounter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (attemptCounter) HandleConn(context.Context, stats.ConnStats) {}
