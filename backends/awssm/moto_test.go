package awssm_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const (
	region    = "eu-west-1"
	secretKey = "canary-aws-secret-access-key-000001"
	session   = "canary-aws-session-token-00000000002"
)

// moto is a server of Secrets Manager, STS and IAM.
type moto struct {
	t   testing.TB
	url string
}

// startMoto runs a server for the time of the test. The environment comes in
// addition, each as KEY=value.
func startMoto(t testing.TB, env ...string) *moto {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		if os.Getenv("REQUIRE_REAL_SERVERS") == "1" {
			t.Fatal("moto_server is not on PATH; .ci/servers installs it and prints its folder")
		}
		t.Skip("SKIPPED, not tested against a real server: moto_server is not on PATH (.ci/servers installs it)")
	}
	cmd := exec.Command("sh", "-c", untilStdinEnds, "sh", path, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	log := bufio.NewReader(stderr)
	for {
		line, err := log.ReadString('\n')
		if u := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line); u != "" {
			go io.Copy(io.Discard, log) // so that the server never blocks on its log
			return &moto{t, u}
		}
		if err != nil {
			t.Fatal("moto_server ended without telling its address")
		}
	}
}

// untilStdinEnds runs a server until its standard input ends, which it does with
// this process, however that ends.
const untilStdinEnds = `"$@" </dev/null & exec 2>&-; cat >/dev/null; kill -9 $!`

// client returns a client of the server with static credentials.
func (m *moto) client() *secretsmanager.Client { return clientOf(m.url) }

func clientOf(endpoint string, optFns ...func(*secretsmanager.Options)) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region:       region,
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIACANARY", secretKey, session),
		Retryer:      aws.NopRetryer{},
	}, optFns...)
}

// persistent has a request repeated, for a machine that has much else to do.
func persistent(o *secretsmanager.Options) { o.Retryer = retry.NewStandard() }

// create makes a secret with a string and returns its ARN.
func (m *moto) create(name, secret string) string {
	m.t.Helper()
	in := &secretsmanager.CreateSecretInput{Name: &name}
	if secret != "" {
		in.SecretString = &secret
	}
	out, err := m.client().CreateSecret(context.Background(), in)
	if err != nil {
		m.t.Fatal(err)
	}
	return *out.ARN
}

// put stores a new version with these stages, or as the current one, and returns
// its id.
func (m *moto) put(name, secret string, stages ...string) string {
	m.t.Helper()
	out, err := m.client().PutSecretValue(context.Background(), &secretsmanager.PutSecretValueInput{
		SecretId: &name, SecretString: &secret, VersionStages: stages,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return *out.VersionId
}

// get returns what is stored, without this package.
func (m *moto) get(name, stage string) *secretsmanager.GetSecretValueOutput {
	m.t.Helper()
	out, err := m.client().GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: &stage})
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// user makes an IAM user with this policy and returns an access key. It uses up
// three of the requests that the server takes without checking them.
func (m *moto) user(name, policy string) (id, secret string) {
	m.t.Helper()
	m.iam("CreateUser", url.Values{"UserName": {name}})
	m.iam("PutUserPolicy", url.Values{"UserName": {name}, "PolicyName": {"p"}, "PolicyDocument": {policy}})
	answer := m.iam("CreateAccessKey", url.Values{"UserName": {name}})
	field := func(name string) string {
		return regexp.MustCompile(`<` + name + `>([^<]+)<`).FindStringSubmatch(answer)[1]
	}
	return field("AccessKeyId"), field("SecretAccessKey")
}

func (m *moto) iam(action string, form url.Values) string {
	m.t.Helper()
	form.Set("Action", action)
	form.Set("Version", "2010-05-08")
	return m.post("/", form.Encode(), "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0")
}

func (m *moto) post(path, body, authorization string) string {
	m.t.Helper()
	req, err := http.NewRequest("POST", m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&answer); err != nil || resp.StatusCode != 200 {
		m.t.Fatalf("%s: HTTP %d: %s (%v)", path, resp.StatusCode, answer.String(), err)
	}
	return answer.String()
}

// checksSignatures sets whether the server checks keys, signatures and policies.
func (m *moto) checksSignatures(yes bool) {
	m.t.Helper()
	requests := "inf" // that it takes before
	if yes {
		requests = "0"
	}
	m.post("/moto-api/reset-auth", requests, "")
}

func withCredentials(id, key, session string) func(*secretsmanager.Options) {
	return func(o *secretsmanager.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(id, key, session)
	}
}

// role makes a role that anyone may assume, with this policy, and returns its
// ARN. It uses up two requests.
func (m *moto) role(name, policy string) (arn string) {
	m.t.Helper()
	answer := m.iam("CreateRole", url.Values{"RoleName": {name}, "AssumeRolePolicyDocument": {
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`}})
	m.iam("PutRolePolicy", url.Values{"RoleName": {name}, "PolicyName": {"p"}, "PolicyDocument": {policy}})
	return regexp.MustCompile(`<Arn>([^<]+)<`).FindStringSubmatch(answer)[1]
}
