package testing

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bound is how long anything may take that the tests do not measure.
const bound = 20 * time.Second

// service is a real process of the service on a free loopback port.
type service struct {
	t       *testing.T
	address string
	process *os.Process
	stdout  io.Closer
	exited  chan struct{}
	code    int // 128 + number of the signal if a signal ended the process

	mu    sync.Mutex
	lines []line
	grown chan struct{} // closed and replaced with each line, closed for good at the end of the log
	ended bool
}

// line is one line of the log.
type line struct {
	Event string
	Port  int
	Ms    int
}

// start runs the service with these variables, "NAME=value", until it listens, and kills it when the test ends.
func start(t *testing.T, variables ...string) *service {
	t.Helper()
	s := begin(t, variables...)
	s.address = loopback(s.event("listening").Port)
	return s
}

// begin is start, without waiting.
func begin(t *testing.T, variables ...string) *service {
	t.Helper()
	child := exec.Command(command[0], command[1:]...)
	defaults := []string{"PORT=0", "WORK_MS=10", "SHUTDOWN_WAIT_MS=400"}
	child.Env = slices.Concat(os.Environ(), defaults, variables)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, process: child.Process, stdout: output, exited: make(chan struct{}), grown: make(chan struct{})}
	go func() {
		s.read(output)
		_ = child.Wait()
		status := child.ProcessState.Sys().(syscall.WaitStatus)
		s.code = status.ExitStatus()
		if status.Signaled() {
			s.code = 128 + int(status.Signal())
		}
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = child.Process.Kill()
		<-s.exited
		if t.Failed() {
			t.Logf("log of the service: %+v", s.lines)
		}
	})
	return s
}

func (s *service) read(output io.Reader) {
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		var l line
		if json.Unmarshal(scanner.Bytes(), &l) != nil || l.Event == "" {
			continue
		}
		s.mu.Lock()
		s.lines = append(s.lines, l)
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.ended = true
	close(s.grown)
	s.mu.Unlock()
}

// withFullLog fills the pipe of the log, and calls do before anything is read from it.
func (s *service) withFullLog(do func()) {
	s.t.Helper()
	s.mu.Lock() // read stops at its next line
	defer s.mu.Unlock()
	log, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", s.process.Pid), os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	_ = log.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := log.Write(bytes.Repeat([]byte("{\"event\":\"none\"}\n"), 1<<17)); !errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("the log is not full: %v", err)
	}
	do()
}

// event waits for the line of this event.
func (s *service) event(name string) line {
	s.t.Helper()
	limit := time.After(bound)
	for {
		s.mu.Lock()
		grown, ended := s.grown, s.ended
		at := slices.IndexFunc(s.lines, func(l line) bool { return l.Event == name })
		if at >= 0 {
			defer s.mu.Unlock()
			return s.lines[at]
		}
		s.mu.Unlock()
		if ended {
			s.t.Fatalf("the process ended without event %q", name)
		}
		select {
		case <-grown:
		case <-limit:
			s.t.Fatalf("no event %q in %s", name, bound)
		}
	}
}

func (s *service) kill(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// assertExit waits for the end of the process and checks its exit code and the order of events in its log.
func (s *service) assertExit(code int, events ...string) {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(bound):
		s.t.Fatalf("the process still runs after %s", bound)
	}
	if s.code != code {
		s.t.Errorf("exit code %d, want %d", s.code, code)
	}
	found := 0
	for _, l := range s.lines {
		if found < len(events) && l.Event == events[found] {
			found++
		}
	}
	if found < len(events) {
		s.t.Errorf("event %q is missing or too early", events[found])
	}
}
