// Serves the MongoDB wire protocol from a PostgreSQL database, for tests: FerretDB as a library.
//
// Two arguments: the address to listen on, and the database's URL. It ends on an interrupt.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: ferret ADDRESS POSTGRES_URL")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "ferret:", err)
		os.Exit(1)
	}
}

func serve(address, database string) error {
	interrupted, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	config := ferretdb.Config{Handler: "postgresql", PostgreSQLURL: database}
	config.Listener.TCP = address
	server, err := ferretdb.New(&config)
	if err != nil {
		return err
	}
	return server.Run(interrupted)
}
