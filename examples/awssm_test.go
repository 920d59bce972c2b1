package examples

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends/awssm"
)

// moto is a server of Secrets Manager and IAM that checks signatures and
// actions. It knows only the resource "*" in a policy, so ServeHTTP checks
// resources in front of it.
type moto struct {
	t         *testing.T
	url       string
	arns      map[string]string // of secrets by their names
	resources *regexp.Regexp    // those that the policy permits
}

// startMoto runs a server that takes the first requests of the test unchecked.
func startMoto(t *testing.T, unchecked string) *moto {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		unavailable(t, "moto_server is not on PATH (pip install 'moto[server]')")
	}
	cmd := exec.Command("sh", "-c", untilStdinEnds, "sh", path, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), "INITIAL_NO_AUTH_ACTION_COUNT="+unchecked)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("moto_server ended without telling its address: %v", err)
		}
		if u := address.FindString(line); u != "" {
			go io.Copy(io.Discard, lines) // so that it never blocks on its log
			return &moto{t: t, url: u, arns: map[string]string{}}
		}
	}
}

// untilStdinEnds runs a server until its standard input ends. That happens when
// this process ends, in whatever way.
const untilStdinEnds = `"$@" </dev/null & exec 2>&-; cat >/dev/null; kill -9 $!`

// post sends an unsigned request.
func (m *moto) post(service, contentType, target, body string) []byte {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), "POST", m.url, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.t.Fatalf("%s %s: HTTP %d: %s (%v)", service, target, resp.StatusCode, answer, err)
	}
	return answer
}

// create makes a secret.
func (m *moto) create(name, value string) {
	m.t.Helper()
	body, err := json.Marshal(map[string]string{"Name": name, "SecretString": value})
	if err != nil {
		m.t.Fatal(err)
	}
	var answer struct{ ARN string }
	if err := json.Unmarshal(m.post("secretsmanager", "application/x-amz-json-1.1", "secretsmanager.CreateSecret", string(body)), &answer); err != nil {
		m.t.Fatal(err)
	}
	m.arns[name] = answer.ARN
}

// put stores another value in a secret.
func (m *moto) put(name, value string) {
	m.t.Helper()
	body, err := json.Marshal(map[string]string{"SecretId": name, "SecretString": value})
	if err != nil {
		m.t.Fatal(err)
	}
	m.post("secretsmanager", "application/x-amz-json-1.1", "secretsmanager.PutSecretValue", string(body))
}

// ServeHTTP refuses requests for secrets that the policy doesn't permit, as AWS
// does. It passes the others on to moto.
func (m *moto) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request struct{ SecretId string }
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	to, _ := url.Parse(m.url)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case !m.resources.MatchString(m.arns[request.SecretId]):
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"AccessDeniedException","Message":"not authorized to perform: secretsmanager:GetSecretValue"}`)
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host // it is signed
		}}
		proxy.ServeHTTP(w, r)
	}
}

// policy splits a policy of one statement: moto checks one part, and ServeHTTP
// checks the other.
func (m *moto) policy(text string) (actions string) {
	m.t.Helper()
	var policy struct {
		Version   string
		Statement []struct{ Sid, Effect, Action, Resource string }
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&policy); err != nil || len(policy.Statement) != 1 {
		m.t.Fatalf("not a policy of one statement for one action and resource: %v", err)
	}
	pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(policy.Statement[0].Resource))
	m.resources = regexp.MustCompile("^" + pattern + "$")
	policy.Statement[0].Resource = "*"
	out, err := json.Marshal(policy)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(out)
}

// user makes an IAM user with this policy, unless it is empty. It returns the
// environment variables with an access key of the user.
func (m *moto) user(name, policy string) (env []string, secret string) {
	m.t.Helper()
	iam := func(action string, form url.Values) []byte {
		form.Set("Action", action)
		form.Set("Version", "2010-05-08")
		form.Set("UserName", name)
		return m.post("iam", "application/x-www-form-urlencoded", "", form.Encode())
	}
	iam("CreateUser", url.Values{})
	if policy != "" {
		iam("PutUserPolicy", url.Values{"PolicyName": {"p"}, "PolicyDocument": {policy}})
	}
	var answer struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(iam("CreateAccessKey", url.Values{}), &answer); err != nil || answer.Secret == "" {
		m.t.Fatalf("no access key: %v", err)
	}
	return []string{
		"AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=" + answer.ID, "AWS_SECRET_ACCESS_KEY=" + answer.Secret,
	}, answer.Secret
}

func TestAwssm_PushesWithItsPolicyAlone(t *testing.T) {
	w := newWorld(t)
	m := startMoto(t, "7")
	front := httptest.NewServer(m)
	t.Cleanup(front.Close)
	w.env = append(w.env, "AWS_ENDPOINT_URL="+front.URL)
	m.create("prod/packagecloud", `{"token": "`+w.Token()+`"}`)
	m.create("prod/packagecloud-staging", w.Token())
	allowed, key := m.user("publisher", m.policy(read(t, "awssm/policy.json")))
	stripped, otherKey := m.user("nobody", "") // the policy has one statement
	w.secrets = append(w.secrets, key, otherKey)

	push := []string{"-field", "token", "acme/main", "ubuntu/noble", deb}
	w.succeeds("pushed ubuntu/noble "+deb+"\n", allowed, "awssm", push...)

	w.requests()
	denied := []string{"awssm:prod/", "denied", "secretsmanager:GetSecretValue"}
	w.fails(denied, stripped, "awssm", push...)
	w.fails(denied, allowed, "awssm", "-secret", "prod/packagecloud-staging", "acme/main", "ubuntu/noble", deb)
	if n := w.requests(); n != 0 {
		t.Errorf("%d requests without a token", n)
	}

	// The policy doesn't permit writing.
	w.enter(allowed)
	store, err := awssm.OpenStore(t.Context(), "prod/packagecloud", awssm.Options{Field: "token"})
	if err != nil {
		t.Fatal(err)
	}
	cannotPut(t, store)
}
