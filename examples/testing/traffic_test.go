package testing

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// newConnections sends 100 requests per second, each over its own connection.
func newConnections(t *testing.T, address string) func() (sent, failed int) {
	var report bytes.Buffer
	generator := exec.Command(load, "-target", "http://"+address, "-connections", "new", "-rate", "100")
	generator.Stdout, generator.Stderr = &report, os.Stderr
	if err := generator.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceValue(generator.Wait)
	t.Cleanup(func() {
		_ = generator.Process.Kill()
		_ = end()
	})
	return func() (int, int) {
		if err := generator.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		var last struct {
			Summary      bool
			Sent, Failed int
			Failures     map[string]int
		}
		lines := bytes.Split(bytes.TrimSpace(report.Bytes()), []byte("\n"))
		if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || !last.Summary {
			t.Fatalf("no summary of the load: %v", err)
		}
		t.Logf("new connections: %d of %d requests failed: %v", last.Failed, last.Sent, last.Failures)
		return last.Sent, last.Failed
	}
}

// keptConnections sends requests over 50 connections with pauses of up to 200 ms. The connections of the load generator
// may be idle for longer than the wait of the service, so that it closes them while a burst takes them into use.
func keptConnections(t *testing.T, address string) func() (sent, failed int) {
	var users sync.WaitGroup
	var requests, failures, closing atomic.Int64
	done := make(chan struct{})
	end := sync.OnceFunc(func() {
		close(done)
		users.Wait()
	})
	t.Cleanup(end)
	for range 50 {
		users.Go(func() {
			var kept *client
			for {
				if kept == nil {
					conn, err := net.DialTimeout("tcp", address, bound)
					if err != nil {
						t.Error(err)
						return
					}
					kept = newClient(conn)
				}
				requests.Add(1)
				closes, err := kept.exchange()
				switch {
				case err != nil:
					failures.Add(1)
				case closes:
					closing.Add(1)
				}
				if err != nil || closes {
					kept.Close()
					kept = nil
				}
				select {
				case <-done:
					if kept != nil {
						kept.Close()
					}
					return
				case <-time.After(rand.N(200 * time.Millisecond)):
				}
			}
		})
	}
	return func() (int, int) {
		end()
		t.Logf("kept connections: %d of %d requests failed, %d answers with Connection: close", failures.Load(), requests.Load(), closing.Load())
		return int(requests.Load()), int(failures.Load())
	}
}
