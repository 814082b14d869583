package main

import (
	"encoding/json"
	"io"
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// tally counts finished requests.
type tally struct {
	Sent     uint64             `json:"sent"`
	Failed   uint64             `json:"failed"`
	Failures map[failure]uint64 `json:"failures"`
}

func newTally() tally { return tally{Failures: map[failure]uint64{}} }

func (t *tally) add(kind failure) {
	t.Sent++
	if kind != "" {
		t.Failed++
		t.Failures[kind]++
	}
}

// report writes a JSON line for each second and one at the end.
type report struct {
	out     *json.Encoder
	options options
	began   time.Time
	seconds int
	current tally
	total   tally
	pace    pace
}

func newReport(out io.Writer, o options) *report {
	return &report{
		out: json.NewEncoder(out), options: o, began: time.Now(), current: newTally(), total: newTally(),
		pace: pace{began: time.Now(), rate: o.rate},
	}
}

func (r *report) add(result *vegeta.Result, kind failure) {
	r.current.add(kind)
	r.total.add(kind)
	r.pace.add(result)
}

func (r *report) second() error {
	// A tick that came too late is left out, so the clock counts and not the ticks.
	r.seconds = max(r.seconds+1, int(math.Round(time.Since(r.began).Seconds())))
	line := struct {
		Second int `json:"second"`
		tally
		Total tally `json:"total"`
	}{r.seconds, r.current, r.total}
	r.current = newTally()
	return r.out.Encode(line)
}

func (r *report) summarize() error {
	if r.current.Sent > 0 {
		if err := r.second(); err != nil {
			return err
		}
	}
	return r.out.Encode(struct {
		Summary     bool        `json:"summary"`
		Connections connections `json:"connections"`
		Rate        int         `json:"rate"`
		ActualRate  float64     `json:"actualRate"`
		MaxLagMs    int64       `json:"maxLagMs"`
		tally
	}{true, r.options.connections, r.options.rate, r.pace.actualRate(), r.pace.maxLag.Milliseconds(), r.total})
}
