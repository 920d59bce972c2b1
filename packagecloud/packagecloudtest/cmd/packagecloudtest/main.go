// Command packagecloudtest runs a packagecloud server for tests and
// quickstarts. It keeps metadata in memory and packages in a temporary folder.
//
//	go run ./packagecloud/packagecloudtest/cmd/packagecloudtest -repo main
//
// When the server is ready, the command prints its URL and its API token as two
// shell assignments. It serves until it is interrupted.
//
// # Control
//
// With the endpoints under /_packagecloudtest/ another process can do what a Go
// test does with the methods of a packagecloudtest.Server. They take and return
// JSON. The log leaves them out, and faults don't affect them. They need no
// credential, so listen on the loopback interface only.
//
//	POST   /_packagecloudtest/faults            a fault, see below        -> 201 {"id":1}
//	DELETE /_packagecloudtest/faults            removes all               -> 204
//	DELETE /_packagecloudtest/faults/{id}       removes one               -> 204
//	POST   /_packagecloudtest/token/rotate      replaces the API token    -> 200 {"token":"..."}
//	POST   /_packagecloudtest/token/revoke      {"token":"..."}           -> 204
//	GET    /_packagecloudtest/token             the newest API token      -> 200 {"token":"..."}
//	POST   /_packagecloudtest/repositories      {"name":"x","private":b}  -> 201
//	POST   /_packagecloudtest/read_tokens       {"repository":"x","name":"y"} -> 201 {"token":"..."}
//	GET    /_packagecloudtest/packages?repository=x   the stored packages -> 200 [...], as Package
//	GET    /_packagecloudtest/requests          the log                   -> 200 [...], as Request
//	DELETE /_packagecloudtest/requests          empties the log           -> 204
//	POST   /_packagecloudtest/downloads/expire  expires signed URLs       -> 204
//	POST   /_packagecloudtest/plan              a Plan: max_packages, quota_spent, payment_required -> 204
//
// A fault has the fields of packagecloudtest.Fault in snake case: method, path,
// host, skip, times, every, status, body, content_type, header (an object of
// arrays), delay (as "1.5s"), reset, reset_after, read_body,
// close_after_answer, lose_answer, cut_after, stall_after, flip_byte. The field
// "then" replaces Then: it is "rotate" or "revoke" for the API token, or
// "expire" for the signed URLs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "packagecloudtest:", err)
		}
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("packagecloudtest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "`address` to listen on; port 0 picks a free one")
	useTLS := flags.Bool("tls", false, "serve HTTPS")
	cert := flags.String("cert", "", "`file` to write the certificate authority to, in PEM (with -tls)")
	owner := flags.String("owner", "acme", "`user` who owns the token")
	repos := flags.String("repo", "", "`names` of repositories to create, separated by commas")
	private := flags.Bool("private", false, "make the repositories private")
	untilEOF := flags.Bool("until-eof", false, "stop when the standard input ends, so that the server stops with the program that started it")
	noChecksums := flags.Bool("no-checksums", false, "replace every checksum in every answer by null")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; give options only", flags.Arg(0))
	case *cert != "" && !*useTLS:
		return errors.New("-cert needs -tls; add it")
	case *useTLS && *cert == "":
		return errors.New("-tls needs -cert, so that clients can trust the server")
	}
	srv, err := packagecloudtest.Start(&packagecloudtest.Options{TLS: *useTLS, Owner: *owner, NoChecksums: *noChecksums, Control: true}, *addr)
	if err != nil {
		return err
	}
	defer srv.Close()
	for name := range strings.SplitSeq(*repos, ",") {
		if name = strings.TrimSpace(name); name != "" {
			if err := create(srv, name, *private); err != nil {
				return err
			}
		}
	}
	if *cert != "" {
		if err := os.WriteFile(*cert, srv.CertPEM(), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "PACKAGECLOUD_URL=%s\nPACKAGECLOUD_TOKEN=%s\n", srv.URL, srv.Token())
	if *untilEOF {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			stop()
		}()
	}
	<-ctx.Done()
	return nil
}

// create calls CreateRepository and turns its panic, which is meant for tests,
// into an error.
func create(srv *packagecloudtest.Server, name string, private bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("-repo: %v", r)
		}
	}()
	srv.CreateRepository(name, private)
	return nil
}
