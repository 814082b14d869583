// The shutdown of an example service, in any language, as a client and as Kubernetes see it. The service is a command:
//
//	go test -count=1 . -args ./go-service
//
// It logs one JSON object per line with the key "event", listens on PORT (0: any, which it logs as "port") and reads
// START_MS, WORK_MS, SHUTDOWN_WAIT_MS and WINDDOWN_DEADLINE_SECONDS. LOAD is the path of the load generator (e2e/load).
// examples/testing/run builds and tests all of them.
package testing

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

var (
	command []string
	load    = os.Getenv("LOAD")
)

func TestMain(m *testing.M) {
	flag.Parse()
	command = flag.Args()
	if len(command) == 0 || load == "" {
		fmt.Fprintln(os.Stderr, "usage: LOAD=PATH go test -count=1 . -args COMMAND...")
		os.Exit(2)
	}
	// Services would inherit from nohup that SIGHUP is ignored.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	os.Exit(m.Run())
}
