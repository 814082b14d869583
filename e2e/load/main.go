// Load sends requests to one target at a constant rate and accounts for each of them, so that a roll-out under load
// can show how many it dropped and how.
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
	target := flag.String("target", "", "URL to send to, http only")
	flag.IntVar(&o.rate, "rate", 200, "requests per second")
	flag.TextVar(&o.connections, "connections", newConnections, "`new` connection for each request, or kept ones")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Second, "bound on one request, its connection included")
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "bound on the whole run")
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
