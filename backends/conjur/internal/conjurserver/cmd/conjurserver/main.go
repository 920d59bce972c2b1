// Command conjurserver runs package conjurserver for tests of other modules. It
// reads what the server has to know from its standard input, as one JSON value;
// prints the server's URL; and ends when its standard input does, so that a test
// that dies leaves no server behind.
//
//	{
//	  "account": "acme",
//	  "logins": [{"service": "k8s", "jwt": "...", "login": "host/app"}],
//	  "variables": [{"id": "app/token", "value": "...", "permit": {"host/app": {"execute": true}}}]
//	}
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/packagecloud-go/sdk/backends/conjur/internal/conjurserver"
)

type config struct {
	Account string
	Logins  []struct{ Service, JWT, Login string }

	Variables []struct {
		ID, Value string
		Permit    map[string]conjurserver.Privileges
	}
}

func main() {
	log.SetFlags(0)
	input := json.NewDecoder(os.Stdin)
	input.DisallowUnknownFields()
	var c config
	if err := input.Decode(&c); err != nil {
		log.Fatal("conjurserver: ", err)
	}
	server := conjurserver.New(c.Account, nil)
	defer server.Close()
	for _, l := range c.Logins {
		server.AddJWT(l.Service, l.JWT, l.Login)
	}
	for _, v := range c.Variables {
		server.Permit(v.ID, "", conjurserver.Privileges{}) // it exists, and nobody may do anything
		for login, privileges := range v.Permit {
			server.Permit(v.ID, login, privileges)
		}
		server.Set(v.ID, v.Value)
	}
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
}
