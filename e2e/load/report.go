package main

import (
	"encoding/json"
	"io"
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// tally counts finished requests, and WebSockets that the server closed with code 1001.
type tally struct {
	Sent          uint64             `json:"sent"`
	Failed        uint64             `json:"failed"`
	Failures      map[failure]uint64 `json:"failures"`
	OrderlyCloses uint64             `json:"orderlyCloses"`
}

func newTally() tally { return tally{Failures: map[failure]uint64{}} }

func (t *tally) add(kind failure) {
	t.Sent++
	if kind != "" {
		t.Failed++
		t.Failures[kind]++
	}
}

// report writes one JSON line per second and a summary at the end.
type report struct {
	out     *json.Encoder
	options options
	start   time.Time
	seconds int
	current tally
	total   tally
	pace    pace
	// since the start of the run
	orderlyCloses func() uint64
	// hosts has the last successful request to each host that names itself, in milliseconds since 1970.
	hosts map[string]int64
}

// maxHosts limits the hosts; the pods of a test are fewer.
const maxHosts = 1000

func newReport(out io.Writer, o options, orderlyCloses func() uint64) *report {
	return &report{
		out: json.NewEncoder(out), options: o, start: time.Now(), current: newTally(), total: newTally(),
		orderlyCloses: orderlyCloses,
		pace:          pace{start: time.Now(), rate: o.rate},
		hosts:         map[string]int64{},
	}
}

func (r *report) add(result *vegeta.Result, kind failure) {
	r.current.add(kind)
	r.total.add(kind)
	r.pace.add(result)
	if kind == "" {
		r.addHost(result)
	}
}

// addHost reads the answer of the example apps, which name their host.
func (r *report) addHost(result *vegeta.Result) {
	var answer struct{ Hostname string }
	if json.Unmarshal(result.Body, &answer) != nil || answer.Hostname == "" || len(r.hosts) >= maxHosts {
		return
	}
	r.hosts[answer.Hostname] = max(r.hosts[answer.Hostname], result.Timestamp.UnixMilli())
}

func (r *report) second() error {
	// time.Ticker drops ticks, so the elapsed time counts and not the number of ticks.
	r.seconds = max(r.seconds+1, int(math.Round(time.Since(r.start).Seconds())))
	closes := r.orderlyCloses()
	r.current.OrderlyCloses, r.total.OrderlyCloses = closes-r.total.OrderlyCloses, closes
	line := struct {
		Second int `json:"second"`
		tally
		Total tally `json:"total"`
	}{r.seconds, r.current, r.total}
	r.current = newTally()
	return r.out.Encode(line)
}

func (r *report) summarize() error {
	if r.current.Sent > 0 || r.orderlyCloses() > r.total.OrderlyCloses {
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
		// The last request that each host answered, by the time when it was sent.
		Hosts map[string]int64 `json:"hosts"`
		tally
	}{true, r.options.connections, r.options.rate, r.pace.actualRate(), r.pace.maxLag.Milliseconds(), r.hosts, r.total})
}
