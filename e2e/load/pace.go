package main

import (
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// pace measures the actual rate and the lag. After a stall, Vegeta sends a burst: the average rate stays the same and the
// stall is visible in the lag only.
type pace struct {
	start  time.Time
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
	due := p.start.Add(time.Duration(result.Seq+1) * time.Second / time.Duration(p.rate))
	p.maxLag = max(p.maxLag, result.Timestamp.Sub(due))
}

// actualRate is in requests per second, rounded to one decimal.
func (p *pace) actualRate() float64 {
	if p.sent == 0 {
		return 0
	}
	return math.Round(10*float64(p.sent)/p.last.Sub(p.start).Seconds()) / 10
}
