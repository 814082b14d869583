// A server that speaks MongoDB's wire protocol: FerretDB with SQLite.
//
//	mongodb ADDRESS FOLDER     such as: mongodb 0.0.0.0:27017 /data
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: mongodb ADDRESS FOLDER"))
	}
	// Otherwise every connection is logged, also those of probes.
	slog.SetLogLoggerLevel(slog.LevelError)
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: os.Args[1]},
		Handler:   "sqlite",
		SQLiteURL: "file:" + os.Args[2] + "/",
	})
	if err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	fmt.Println("listening on", os.Args[1])
	if err := server.Run(ctx); err != nil && ctx.Err() == nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "mongodb:", err)
	os.Exit(1)
}
