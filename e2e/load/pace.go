package main

import (
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// pace tells how well the rate was kept. Vegeta makes up for a stall with a burst, which leaves the rate as it was and
// shows in the lag.
type pace struct {
	began  time.Time
	rate   int
	sent   uint64
	last   time.Time
	maxLag time.Duration
}

func (p *pace) add(result *vegeta.Result) {
	p.sent++
	if result.Timestamp.After(p.last) {
		p.last = result.Timestamp
	}
	// The first request is due one interval after the start.
	due := p.began.Add(time.Duration(result.Seq+1) * time.Second / time.Duration(p.rate))
	p.maxLag = max(p.maxLag, result.Timestamp.Sub(due))
}

// actualRate is in requests per second, to a tenth.
func (p *pace) actualRate() float64 {
	if p.sent == 0 {
		return 0
	}
	return math.Round(10*float64(p.sent)/p.last.Sub(p.began).Seconds()) / 10
}
