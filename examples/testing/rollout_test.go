package testing

import (
	"syscall"
	"testing"
	"time"
)

const (
	stops = 3
	// drain is how long new connections go elsewhere before SIGTERM: here only as long as the endpoint needs for it.
	drain = 200 * time.Millisecond
)

// Each stop is that of one pod in a rollout with Winddown: another one takes the new connections, then SIGTERM.
func stopInOrder(e *endpoint, old, next *service) {
	e.service.Store(next)
	time.Sleep(drain)
	old.kill(syscall.SIGTERM)
	old.assertExit(0, inOrder...)
}

func stopWithoutHandler(e *endpoint, old, next *service) {
	e.service.Store(next)
	old.kill(syscall.SIGHUP)
	<-old.exited
}

func stopWithoutDrain(e *endpoint, old, next *service) {
	old.kill(syscall.SIGTERM)
	old.assertExit(0, inOrder...)
	e.service.Store(next)
}

func TestNoRequestOnNewConnectionsFailsDuringStops(t *testing.T) {
	t.Parallel()
	if sent, failed := rollout(t, newConnections, stopInOrder); failed > 0 || sent < 100 {
		t.Errorf("%d of %d requests failed", failed, sent)
	}
}

func TestNoRequestOnKeptConnectionsFailsDuringStops(t *testing.T) {
	t.Parallel()
	if sent, failed := rollout(t, keptConnections, stopInOrder); failed > 0 || sent < 100 {
		t.Errorf("%d of %d requests failed", failed, sent)
	}
}

func TestControlRequestsFailWithoutAHandler(t *testing.T) {
	t.Parallel()
	if sent, failed := rollout(t, newConnections, stopWithoutHandler); failed == 0 {
		t.Errorf("none of %d requests over new connections failed", sent)
	}
	if sent, failed := rollout(t, keptConnections, stopWithoutHandler); failed == 0 {
		t.Errorf("none of %d requests over kept connections failed", sent)
	}
}

func TestControlRequestsFailWithoutTheDrain(t *testing.T) {
	t.Parallel()
	if sent, failed := rollout(t, newConnections, stopWithoutDrain); failed == 0 {
		t.Errorf("none of %d requests failed", sent)
	}
}

// traffic sends requests to the address until stop is called, which returns how many were sent and failed.
type traffic func(t *testing.T, address string) (stop func() (sent, failed int))

// rollout replaces one service after the other under traffic.
func rollout(t *testing.T, traffic traffic, replace func(e *endpoint, old, next *service)) (sent, failed int) {
	t.Helper()
	variables := []string{"WORK_MS=50", "SHUTDOWN_WAIT_MS=2000"}
	current := start(t, variables...)
	e := newEndpoint(t, current)
	stop := traffic(t, e.address)
	for range stops {
		next := start(t, variables...)
		time.Sleep(500 * time.Millisecond)
		replace(e, current, next)
		current = next
	}
	return stop()
}
