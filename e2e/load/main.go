// Load sends requests to one target at a constant rate and counts every failed request by kind, so that the number of
// requests lost during a rollout can be measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var o options
	target := flag.String("target", "", "URL to send to, http only; for gRPC its path is the method, which takes an empty message")
	flag.IntVar(&o.rate, "rate", 200, "requests per second")
	flag.TextVar(&o.connections, "connections", newConnections,
		`"new" (one per request), "kept" (reused), "http2", "grpc" or "websocket" (10 connections each)`)
	flag.DurationVar(&o.timeout, "timeout", 5*time.Second, "timeout of one request, including its connection")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "maximum duration of the run")
	flag.Parse()

	var err error
	if o.target, err = url.Parse(*target); err != nil {
		fail(err)
	}
	if o.target.Scheme != "http" || o.target.Host == "" || o.rate < 1 || o.timeout <= 0 || o.duration <= 0 {
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}
