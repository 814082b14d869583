package testing

import (
	"bytes"
	"syscall"
	"testing"
	"time"
)

var inOrder = []string{"listening", "begun", "listeners-closed", "connections-closed", "finished"}

func TestAnOpenRequestCompletesAndTheProcessExits0(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, "WORK_MS=1500")
			open := openRequest(t, s)
			s.kill(signal)
			s.event("listeners-closed")
			open.assertAnswer(t, 200, true)
			open.assertClosed(t)
			s.assertExit(0, inOrder...)
		})
	}
}

func TestHealthFailsOnceShutdownBegan(t *testing.T) {
	t.Parallel()
	s := start(t, "SHUTDOWN_WAIT_MS=5000")
	dial(t, s).assertGet(t, "/health", 200, false)
	s.kill(syscall.SIGTERM)
	s.event("begun")
	dial(t, s).assertGet(t, "/health", 503, true)
	s.assertExit(0, inOrder...)
}

func TestAnswersTellTheClientToCloseOnceShutdownBegan(t *testing.T) {
	t.Parallel()
	s := start(t, "SHUTDOWN_WAIT_MS=5000", "WORK_MS=500")
	kept := dial(t, s)
	kept.assertGet(t, "/", 200, false)
	open := openRequest(t, s)
	s.kill(syscall.SIGTERM)
	s.event("begun")

	kept.assertGet(t, "/", 200, true)
	kept.assertClosed(t)
	open.assertAnswer(t, 200, true)
	dial(t, s).assertGet(t, "/", 200, true)
	s.assertExit(0, inOrder...)
}

func TestTheListenerClosesAfterTheWait(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=3000")
	open := openRequest(t, s)
	s.kill(syscall.SIGTERM)
	if closed := s.event("listeners-closed"); closed.Ms < 400 {
		t.Errorf("the listener closed after %d ms", closed.Ms)
	}
	assertRefused(t, s)
	open.assertAnswer(t, 200, true)
	s.assertExit(0, inOrder...)
}

func TestAnIdleConnectionIsClosedAfterTheWaitAndNotBefore(t *testing.T) {
	t.Parallel()
	s := start(t, "SHUTDOWN_WAIT_MS=1000")
	idle := dial(t, s)
	idle.assertGet(t, "/", 200, false)
	s.kill(syscall.SIGTERM)
	s.event("begun")
	begun := time.Now()
	idle.assertClosed(t)
	// The line of the signal may arrive late, never early.
	if waited := time.Since(begun); waited < 500*time.Millisecond {
		t.Errorf("closed after %s", waited)
	}
	s.assertExit(0, inOrder...)
}

func TestAConnectionWithoutARequestDoesNotHoldTheShutdown(t *testing.T) {
	t.Parallel()
	s := start(t)
	silent := dial(t, s)
	dial(t, s).assertGet(t, "/health", 200, false) // The listener accepts in order: silent is accepted too.
	s.kill(syscall.SIGTERM)
	silent.assertClosed(t)
	s.assertExit(0, inOrder...)
}

func TestAStuckRequestEndsAtTheDeadlineWithExit1(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=600000", "WINDDOWN_DEADLINE_SECONDS=3")
	stuck := openRequest(t, s)
	s.kill(syscall.SIGTERM)
	stuck.assertDropped(t)
	s.assertExit(1, "listening", "begun", "listeners-closed", "deadline-passed")
	if at := s.event("deadline-passed"); at.Ms < 3000 {
		t.Errorf("the deadline of 3 s passed after %d ms", at.Ms)
	}
}

func TestADeadlineOf0EndsImmediately(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=600000", "WINDDOWN_DEADLINE_SECONDS=0")
	stuck := openRequest(t, s)
	s.kill(syscall.SIGTERM)
	stuck.assertDropped(t)
	s.assertExit(1, "listening", "begun", "deadline-passed")
	if at := s.event("deadline-passed"); at.Ms > 20_000 {
		t.Errorf("the deadline passed after %d ms: that is the default", at.Ms)
	}
}

func TestTheWaitLeavesHalfOfAShortDeadline(t *testing.T) {
	t.Parallel()
	s := start(t, "SHUTDOWN_WAIT_MS=60000", "WINDDOWN_DEADLINE_SECONDS=4")
	s.kill(syscall.SIGTERM)
	s.assertExit(0, inOrder...)
}

func TestADistantDeadlineDoesNotKeepTheProcessAlive(t *testing.T) {
	t.Parallel()
	s := start(t, "WINDDOWN_DEADLINE_SECONDS=2592000")
	s.kill(syscall.SIGTERM)
	s.assertExit(0, inOrder...)
}

func TestADeadlineThatIsNoNumberIsLoggedAndTheDefaultIsUsed(t *testing.T) {
	for _, value := range []string{"soon", "", "1.5", "-1", "+1", "2592001", "99999999999999999999"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s := start(t, "WINDDOWN_DEADLINE_SECONDS="+value, "WORK_MS=1500")
			s.event("setting-not-used")
			open := openRequest(t, s)
			s.kill(syscall.SIGTERM)
			open.assertAnswer(t, 200, true)
			s.assertExit(0, inOrder...)
		})
	}
}

func TestASecondSignalIsIgnored(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=2000")
	open := openRequest(t, s)
	s.kill(syscall.SIGTERM)
	s.event("begun")
	s.kill(syscall.SIGTERM)
	s.kill(syscall.SIGINT)
	s.event("signal-ignored")
	s.event("listeners-closed")
	s.kill(syscall.SIGINT)
	open.assertAnswer(t, 200, true)
	s.assertExit(0, inOrder...)
}

func TestASignalDuringTheStartBeginsTheShutdown(t *testing.T) {
	t.Parallel()
	s := begin(t, "START_MS=16000", "WINDDOWN_DEADLINE_SECONDS=1")
	time.Sleep(8 * time.Second) // until it handles signals, also on a busy machine
	signalled := time.Now()
	s.kill(syscall.SIGTERM)
	s.event("begun")
	<-s.exited // Node.js ends before its deadline: it has nothing to wait for
	if ended := time.Since(signalled); ended > 3*time.Second {
		t.Errorf("the process ended %s after the signal, with a deadline of 1 s", ended)
	}
}

func TestAClosedLogDoesNotStopTheShutdown(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=1500")
	open := openRequest(t, s)
	_ = s.stdout.Close()
	s.kill(syscall.SIGTERM)
	open.assertAnswer(t, 200, true)
	s.assertExit(0)
}

func TestAFullLogDoesNotStopTheDeadline(t *testing.T) {
	if command[0] == "node" {
		t.Skip("timers of Node.js wait for the log")
	}
	t.Parallel()
	s := start(t, "WORK_MS=600000", "WINDDOWN_DEADLINE_SECONDS=3")
	stuck := openRequest(t, s)
	s.withFullLog(func() {
		s.kill(syscall.SIGTERM)
		stuck.assertDropped(t)
	})
	s.assertExit(1)
}

// The services have no handler for SIGHUP, so it does what SIGTERM does to a process without a handler.
func TestControlASignalWithoutHandlerDropsTheOpenRequest(t *testing.T) {
	t.Parallel()
	s := start(t, "WORK_MS=5000")
	open := openRequest(t, s)
	s.kill(syscall.SIGHUP)
	open.assertDropped(t)
	s.assertExit(128 + int(syscall.SIGHUP))
}

// openRequest sends a request with a large body and waits until the service works on it.
func openRequest(t *testing.T, s *service) *client {
	t.Helper()
	open := dial(t, s)
	if err := open.send("POST", "/", bytes.Repeat([]byte("x"), 256*1024)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	return open
}
