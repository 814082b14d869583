// App is the server that make matrix measures. Port 3000: HTTP/1.1, HTTP/2 without TLS, WebSocket at /ws, and /health.
// Port 3001: every unary gRPC method whose message is empty.
//
// After SIGTERM it shuts down gracefully, in two phases: /health answers 503 and clients get `Connection: close`, for
// SHUTDOWN_WAIT_MS; then the listeners close, requests finish, and WebSockets are closed with code 1001.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// deadline is the time from SIGTERM until the process ends in any case.
const deadline = 25 * time.Second

type app struct {
	work    time.Duration // of each request
	begun   atomic.Bool   // whether the shutdown has begun
	sockets sockets
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	a := &app{work: milliseconds("WORK_MS", 50)}
	wait := milliseconds("SHUTDOWN_WAIT_MS", 0)

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	// Clients must close idle connections before the server does.
	web := &http.Server{Addr: ":3000", Handler: a.routes(), Protocols: protocols, IdleTimeout: 75 * time.Second}
	calls := grpc.NewServer(grpc.UnknownServiceHandler(a.call))
	listener, err := net.Listen("tcp", ":3001")
	if err != nil {
		fail(err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go serve(func() error { return calls.Serve(listener) })
	go serve(web.ListenAndServe)
	slog.Info("listening", "waitMs", wait.Milliseconds())
	<-ctx.Done()

	time.AfterFunc(deadline, func() { fail(errors.New("deadline passed")) })
	a.begun.Store(true)
	slog.Info("shutdown begun, health fails")
	time.Sleep(wait)
	slog.Info("closing")
	var closing sync.WaitGroup
	closing.Go(func() { web.Shutdown(context.Background()) })
	closing.Go(calls.GracefulStop)
	closing.Go(a.sockets.close)
	closing.Wait()
	slog.Info("exit 0")
}

func (a *app) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if a.begun.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	routes.HandleFunc("/ws", a.sockets.echo)
	routes.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(a.work)
		if a.begun.Load() {
			// With HTTP/2, net/http sends GOAWAY instead of this header.
			w.Header().Set("Connection", "close")
		}
	})
	return routes
}

func (a *app) call(_ any, stream grpc.ServerStream) error {
	var message emptypb.Empty
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	time.Sleep(a.work)
	return stream.SendMsg(&message)
}

func serve(listen func() error) {
	if err := listen(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		fail(err)
	}
}

func milliseconds(name string, fallback int) time.Duration {
	text := os.Getenv(name)
	if text == "" {
		return time.Duration(fallback) * time.Millisecond
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		fail(errors.New(name + "=" + text + ": a whole number of at most 65535"))
	}
	return time.Duration(number) * time.Millisecond
}

func fail(err error) {
	slog.Error("exit 1", "error", err.Error())
	os.Exit(1)
}
