package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

type options struct {
	target      *url.URL
	rate        int
	connections connections
	timeout     time.Duration
	duration    time.Duration
}

// run sends requests until ctx is done or the duration is over, waits for pending responses and writes the report to out.
func run(ctx context.Context, o options, out io.Writer) error {
	address, err := resolve(ctx, o.target)
	if err != nil {
		return err
	}
	client := newClient(o, address)
	defer client.close()
	// Vegeta starts another worker if all are waiting for a response, so a slow server does not reduce the rate.
	attacker := vegeta.NewAttacker(vegeta.Client(&http.Client{
		Transport:     client,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}))
	targeter := vegeta.NewStaticTargeter(vegeta.Target{
		Method: http.MethodPost,
		URL:    o.target.String(),
		Body:   []byte("{}\n"),
		Header: http.Header{"Content-Type": {"application/json"}},
	})

	report := newReport(out, o, client.orderlyCloses)
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	stop := ctx.Done()
	results := attacker.Attack(targeter, vegeta.Rate{Freq: o.rate, Per: time.Second}, o.duration, "")
	for {
		select {
		case result, more := <-results:
			if !more {
				return report.summarize()
			}
			report.add(result, client.outcome(result))
		case <-seconds.C:
			if err := report.second(); err != nil {
				return fmt.Errorf("report: %w", err)
			}
		case <-stop:
			attacker.Stop()
			stop = nil
		}
	}
}
