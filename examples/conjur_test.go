package examples

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/packagecloud-go/sdk/backends/conjur"
)

// conjurServer is the input of the command conjurserver of backends/conjur.
type conjurServer struct {
	Account   string           `json:"account"`
	Logins    []conjurLogin    `json:"logins"`
	Variables []conjurVariable `json:"variables"`
}

type conjurLogin struct {
	Service string `json:"service"`
	JWT     string `json:"jwt"`
	Login   string `json:"login"`
}

type conjurVariable struct {
	ID     string                     `json:"id"`
	Value  string                     `json:"value"`
	Permit map[string]map[string]bool `json:"permit"`
}

const conjurJWT = "canary.service-account.token"

// load reads the part of Conjur's policy language that policy.yml uses, as for
// the branch root. It fails the test for the rest of the language.
func (s *conjurServer) load(t *testing.T, policy string) {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatal(err)
	}
	var statements func(branch string, list *yaml.Node)
	statements = func(branch string, list *yaml.Node) {
		for _, statement := range list.Content {
			field := fields(statement)
			switch statement.Tag {
			case "!policy":
				statements(branch+field["id"].Value+"/", field["body"])
			case "!variable":
				s.Variables = append(s.Variables, conjurVariable{ID: branch + field["id"].Value, Permit: map[string]map[string]bool{}})
			case "!host": // what it may do comes later
			case "!permit":
				role, resource := fields(field["role"].Alias), fields(field["resource"].Alias)
				for _, v := range s.Variables {
					if v.ID == branch+resource["id"].Value {
						privileges := map[string]bool{}
						for _, p := range field["privileges"].Content {
							privileges[p.Value] = true
						}
						v.Permit["host/"+branch+role["id"].Value] = privileges
					}
				}
			case "!grant":
				service, ok := strings.CutPrefix(field["role"].Value, "conjur/authn-jwt/")
				service, apps := strings.CutSuffix(service, "/apps")
				if !ok || !apps || field["role"].Tag != "!group" || field["member"].Tag != "!host" {
					t.Fatalf("line %d: a grant of no authenticator's group", statement.Line)
				}
				s.Logins = append(s.Logins, conjurLogin{service, conjurJWT, "host/" + field["member"].Value})
			default:
				t.Fatalf("line %d: a statement %s", statement.Line, statement.Tag)
			}
		}
	}
	statements("", document.Content[0])
}

func fields(mapping *yaml.Node) map[string]*yaml.Node {
	m := map[string]*yaml.Node{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		m[mapping.Content[i].Value] = mapping.Content[i+1]
	}
	return m
}

var buildConjurServer = sync.OnceValue(func() error {
	build := exec.Command("go", "build", "-o", bin, "./internal/conjurserver/cmd/conjurserver")
	build.Dir = filepath.Join("..", "backends", "conjur")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build, err, out)
	}
	return nil
})

// startConjur runs the server with this policy and returns the settings of a
// pod. All variables have the given value.
func startConjur(w *world, policy, value string) (env []string) {
	w.t.Helper()
	s := conjurServer{Account: "acme", Variables: []conjurVariable{{ID: "prod/other/token"}}}
	s.load(w.t, policy)
	for i := range s.Variables {
		s.Variables[i].Value = value
	}
	input, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := buildConjurServer(); err != nil {
		w.t.Fatal(err)
	}
	w.secrets = append(w.secrets, conjurJWT)
	return []string{
		"CONJUR_APPLIANCE_URL=" + serve(w.t, string(input), 1, exec.Command(bin+"conjurserver"))[0], "CONJUR_ACCOUNT=acme",
		"CONJUR_AUTHN_JWT_SERVICE_ID=k8s-prod", "JWT_TOKEN_PATH=" + w.write("jwt", conjurJWT),
	}
}

func TestConjur_ListsWithItsPolicyAlone(t *testing.T) {
	w := newWorld(t)
	w.store("main")
	policy := read(t, "conjur/policy.yml")
	settings := startConjur(w, policy, w.Token())
	w.succeeds("ubuntu/noble "+deb+"\n", settings, "conjur", "acme/main")

	w.requests()
	w.fails([]string{"conjur:prod/other/token", "or isn't visible to this role"}, settings, "conjur", "-variable", "prod/other/token", "acme/main")
	w.fails([]string{"refused the login", "the JWT may have expired"}, append(settings, "JWT_TOKEN_PATH="+w.write("expired", "expired.canary.jwt000")), "conjur", "acme/main")
	for statement, message := range map[string]string{"!permit": "or isn't visible to this role", "!grant": "refused the login"} {
		w.fails([]string{message}, startConjur(w, without(t, policy, "- "+statement), w.Token()), "conjur", "acme/main")
	}
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}

	// The policy doesn't permit writing.
	w.enter(settings)
	source, err := conjur.New("prod/packagecloud/token", conjur.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cannotPut(t, source)
}
