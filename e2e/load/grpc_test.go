package main

import (
	"context"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// serveGRPC answers every method, if handle returns no error.
func serveGRPC(t *testing.T, handle func(context.Context) error) (*url.URL, *atomic.Uint64, *grpc.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls := new(atomic.Uint64)
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var message emptypb.Empty
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		calls.Add(1)
		if err := handle(stream.Context()); err != nil {
			return err
		}
		return stream.SendMsg(&message)
	}))
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/test.Echo/Call"}, calls, server
}

func answer(context.Context) error { return nil }

func TestGRPCStatusesAreCountedByKind(t *testing.T) {
	tests := []struct {
		name   string
		handle func(context.Context) error
		want   failure
	}{
		{"answers", answer, ""},
		{"is unavailable", func(context.Context) error { return status.Error(codes.Unavailable, "shutting down") }, serverError},
		{"is not authorized", func(context.Context) error { return status.Error(codes.PermissionDenied, "no") }, otherStatus},
		{"does not respond", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, timeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target, calls, _ := serveGRPC(t, test.handle)
			summary, _ := attack(t, t.Context(), shortFor(test.want, target, grpcCalls))
			assertAll(t, summary, test.want)
			if calls.Load() != summary.Sent {
				t.Errorf("%d calls arrived of %d sent", calls.Load(), summary.Sent)
			}
		})
	}
}

func TestGRPCFailuresOfTheConnectionAreCountedByKind(t *testing.T) {
	tests := []struct {
		name   string
		behave h2Behaviour
		want   failure
	}{
		{"answers", grpcAnswer, ""},
		{"resets the connection", h2Reset, reset},
		{"is a proxy without a backend", h2Status("503"), serverError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serveHTTP2(t, test.behave)
			// After a failed attempt to connect, gRPC fails all calls of that connection for a while, so only one is made.
			o := short(s.url, grpcCalls)
			o.rate, o.duration = 10, 900*time.Millisecond
			summary, _ := attack(t, t.Context(), o)
			assertAll(t, summary, test.want)
			if got := uint64(s.requests.Load()); got != summary.Sent {
				t.Errorf("%d calls arrived of %d sent", got, summary.Sent)
			}
		})
	}
	t.Run("is not there", func(t *testing.T) {
		target, _, server := serveGRPC(t, answer)
		server.Stop()
		summary, _ := attack(t, t.Context(), short(target, grpcCalls))
		assertAll(t, summary, refused)
	})
}

// gRPC sends such a call once more, and that cannot be switched off: the call succeeds, and is counted as failed.
func TestCallThatGRPCSendsTwiceHasFailed(t *testing.T) {
	for name, behave := range map[string]h2Behaviour{"REFUSED_STREAM": refuseStream, "GOAWAY": excludeStream} {
		s := serveHTTP2(t, onceThen(behave, grpcAnswer))
		pool := newGRPC(s.url.Host, s.url.Path)
		defer pool.close()
		if got := pool.call(t.Context(), 0); got != unprocessed {
			t.Errorf("%s: %q", name, got)
		}
		if got := s.requests.Load(); got != 2 {
			t.Errorf("%s: %d calls arrived, want 2", name, got)
		}
		if got := pool.call(t.Context(), 0); got != "" {
			t.Errorf("%s: the next call is %q", name, got)
		}
	}
}

// The control: a plain client does not notice it.
func TestPlainGRPCClientHidesTheSecondAttempt(t *testing.T) {
	s := serveHTTP2(t, onceThen(refuseStream, grpcAnswer))
	connection, err := grpc.NewClient(s.url.Host, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.Invoke(t.Context(), s.url.Path, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if got := s.requests.Load(); got != 2 {
		t.Errorf("%d calls arrived for 1, want 2", got)
	}
}

// grpcAnswer sends an empty message and status OK.
func grpcAnswer(conn *h2Conn, stream uint32) bool {
	conn.headers(stream, false, ":status: 200", "content-type: application/grpc")
	conn.WriteData(stream, false, make([]byte, 5))
	conn.headers(stream, true, "grpc-status: 0")
	return true
}
