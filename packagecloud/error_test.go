package packagecloud_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

var kinds = map[string]error{
	"unauthorized": packagecloud.ErrUnauthorized,
	"not found":    packagecloud.ErrNotFound,
	"exists":       packagecloud.ErrExists,
	"quota":        packagecloud.ErrQuota,
	"payment":      packagecloud.ErrPaymentRequired,
	"invalid":      packagecloud.ErrInvalid,
}

// Guarantee A3.
func TestError_EveryShape(t *testing.T) {
	for _, test := range []struct {
		name        string
		status      int
		contentType string
		body        string
		kinds       string // separated by commas
		text        string // in the error's text
		fields      string // names, separated by commas
	}{
		{"a", 401, "application/json", `{"error":"Unauthenticated"}`, "unauthorized", "Unauthenticated", "error"},
		{"b", 401, "text/plain", `{'error':'unauthenticated'}`, "unauthorized", "401 Unauthorized", ""},
		{"c", 404, "application/json", `{"error":"not_found"}`, "not found", "not_found", "error"},
		{"c as a success", 200, "application/json", `{"error":"not_found"}`, "not found", "not_found", "error"},
		{"d", 404, "application/json", `{"filename":["not found"]}`, "not found", "filename: not found", "filename"},
		{"e", 422, "application/json", `{"filename":["has already been taken"]}`, "invalid,exists", "filename: has already been taken", "filename"},
		{"f", 422, "application/json", `{"repository":["Validation failed: Full name already exists."]}`, "invalid,exists", "Full name already exists.", "repository"},
		{"g", 422, "application/json", `{"filename":["has already been taken"],"plan":["Upgrade to add more packages!"]}`, "invalid,exists,payment", "plan: Upgrade", "filename,plan"},
		{"h", 422, "application/json", `{"repository":["The specified distro does not support the package you've tried to upload"]}`, "invalid", "does not support", "repository"},
		{"i", 422, "application/json", `{"error":"is not a key"}`, "invalid", "error: is not a key", "error"},
		{"j 402", 402, "application/json", `{"error":["payment required"]}`, "payment", "payment required", "error"},
		{"j 422", 422, "application/json", `{"error":["has ALREADY been taken"]}`, "invalid,exists", "ALREADY", "error"},
		{"k", 429, "text/html", "Bandwidth or Storage Limit Exceeded", "quota", "no bandwidth or storage", ""},
		{"j 422 of the plan", 422, "application/json", `{"error":["payment required"]}`, "invalid,payment", "payment required", "error"},
		{"c spread out", 200, "application/json", "{\n  \"error\": \"not_found\" }", "not found", "not_found", "error"},
		{"a success that says otherwise and more", 200, "application/json", `{"message":"later","error":"maintenance"}`, "", "error: maintenance; message: later", "error,message"},
		{"a success that says otherwise", 200, "application/json", `{"error":"maintenance"}`, "", "200 OK: error: maintenance", "error"},
		{"l html", 501, "text/html", "<html><h1>We're sorry</h1></html>", "", "501 Not Implemented", ""},
		{"l empty", 501, "", "", "", "501 Not Implemented", ""},
		{"400", 400, "application/json", `{"distro_version_id":"is missing"}`, "invalid", "is missing", "distro_version_id"},
		{"an array", 422, "application/json", `["no"]`, "invalid", "422", ""},
		{"odd values", 422, "application/json", `{"a":null,"b":[1,null,{"x":[]}],"c":{"d":1},"e":["ok"]}`, "invalid", "e: ok", "a,b,e"},
		{"cut short", 422, "application/json", `{"filename":["has already`, "invalid", "422", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			// A change, so that nothing is retried.
			_, err := client.CreateRepository(t.Context(), "new", nil)
			c.clean(t, err)
			e, ok := errors.AsType[*packagecloud.Error](err)
			if !ok {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			if e.StatusCode != test.status || e.Method != "POST" || e.Endpoint != "/api/v1/repos.json" {
				t.Errorf("%d %s %s", e.StatusCode, e.Method, e.Endpoint)
			}
			if string(e.Body()) != test.body {
				t.Errorf("the body is %q; want %q", e.Body(), test.body)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("the text is %q; want %q in it", err, test.text)
			}
			if strings.Contains(err.Error(), "<html>") {
				t.Errorf("the text holds the body: %q", err)
			}
			for name, kind := range kinds {
				if want := strings.Contains(","+test.kinds+",", ","+name+","); errors.Is(err, kind) != want {
					t.Errorf("kind %q: %v; want %v", name, !want, want)
				}
			}
			for _, field := range strings.Split(test.fields, ",") {
				if _, ok := e.Fields[field]; field != "" && !ok {
					t.Errorf("the field %q is missing in %v", field, e.Fields)
				}
			}
			if test.fields == "" && len(e.Fields) != 0 {
				t.Errorf("the fields are %v", e.Fields)
			}
		})
	}
}

// Guarantee A3.
func TestError_NotFoundSaysWhatWasNamed(t *testing.T) {
	f := setup(t)
	ctx := t.Context()
	there := f.add(t, "ubuntu/jammy", demo, []byte("x"))
	none := f.client.Repository("acme", "none")
	gone := *there
	gone.Filename = "gone_1_amd64.deb"
	for _, address := range []*string{&gone.PackageURL, &gone.VersionsURL, &gone.DestroyURL, &gone.PromoteURL} {
		*address = strings.ReplaceAll(*address, "demo", "gone")
	}
	gone.DownloadURL, _ = packagecloud.NewSecretURL(f.srv.URL + "/acme/main/packages/ubuntu/jammy/gone_1_amd64.deb/download")
	first := func(list iter.Seq2[*packagecloud.Package, error]) error {
		for _, err := range list {
			return err
		}
		return nil
	}
	const packageText = "gone_1_amd64.deb for ubuntu/jammy in acme/main"
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"info":     {second(none.Info(ctx)), "the repository acme/none"},
		"list":     {first(none.Packages(ctx, nil)), "the repository acme/none"},
		"search":   {second(none.Find(ctx, "", demo)), "the repository acme/none"},
		"upload":   {second(none.Upload(ctx, packagecloud.Bytes(demo, []byte("x")), jammy)), "the repository acme/none"},
		"package":  {second(f.repo.Package(ctx, &gone)), packageText},
		"versions": {first(f.repo.Versions(ctx, &gone)), packageText},
		"delete":   {f.repo.Delete(ctx, &gone), packageText},
		"promote":  {second(f.repo.Promote(ctx, &gone, none)), packageText + " or the repository acme/none"},
		"download": {f.repo.Download(ctx, &gone, io.Discard, nil), "gone_1_amd64.deb"},
	} {
		f.want(t, test.err, packagecloud.ErrNotFound)
		if want := "(" + test.want + " isn't there, or the token can't see it)"; !strings.Contains(test.err.Error(), want) {
			t.Errorf("%s: the error is %v; want %q in it", name, test.err, want)
		}
	}
	_, err := f.client.Repository(strings.Repeat("x", 1000), f.srv.Token()).Info(ctx)
	f.want(t, err, packagecloud.ErrNotFound)
	if len(err.Error()) > 1000 {
		t.Errorf("the text has %d bytes", len(err.Error()))
	}
	_, err = f.client.Repository("acme", f.srv.Token()).Info(ctx)
	f.want(t, err, packagecloud.ErrNotFound)
}

// Guarantee A3.
func TestError_TokenIsStruckOut(t *testing.T) {
	odd := `c0ffee<11>&22+33/44"55'66`
	for _, token := range []string{fakeToken, odd} {
		for name, echo := range map[string]string{
			"raw":          token,
			"base64":       base64.StdEncoding.EncodeToString([]byte(token + ":")),
			"base64 alone": base64.StdEncoding.EncodeToString([]byte(token)),
			"base64 URL":   base64.RawURLEncoding.EncodeToString([]byte(token)),
			"hex":          hex.EncodeToString([]byte(token)),
			"URL":          url.QueryEscape(token),
			"long":         strings.Repeat("x", 480) + token, // across the limit of a message
			"in JSON":      "",
		} {
			body := `{"error":[` + quote(echo) + `]}`
			if name == "in JSON" {
				body = `{"error":"` + strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, `"`, `\"`).Replace(token) + `"}`
			}
			_, _, ts := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(422)
				io.WriteString(w, body)
			})
			c := newCanary(t, token)
			client := newClient(t, source(func() string { return token }), packagecloud.WithBaseURL(ts.URL), packagecloud.WithLogger(c.logger()))
			_, err := client.CreateRepository(t.Context(), "new", nil)
			c.want(t, err, packagecloud.ErrInvalid)
			e, _ := errors.AsType[*packagecloud.Error](err)
			for _, message := range e.Fields["error"] {
				c.clean(t, errors.New(message))
				if strings.Contains(message, token[:12]) {
					t.Errorf("%s: half of the token shows in %q", name, message)
				}
			}
			c.clean(t, errors.New(string(e.Body())))
		}
	}
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// Guarantee A3.
func TestError_IsBounded(t *testing.T) {
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(422)
		io.WriteString(w, `{"error":["`+strings.Repeat("long ", 4000)+`"],"`+strings.Repeat("k", 5000)+`":"x\u0007\ny"}`)
		w.Write(bytes.Repeat([]byte(" "), 1<<20))
	})
	_, err := client.CreateRepository(t.Context(), "new", nil)
	e, ok := errors.AsType[*packagecloud.Error](err)
	if !ok {
		t.Fatal(err)
	}
	if len(err.Error()) > 2000 {
		t.Errorf("the text has %d bytes", len(err.Error()))
	}
	if strings.ContainsAny(err.Error(), "\n\a") {
		t.Error("the text has control characters")
	}
	if len(e.Body()) != 64<<10 {
		t.Errorf("the body has %d bytes", len(e.Body()))
	}
}

// Guarantee A3.
func TestError_LongMessagesDoNotHideWhatItIs(t *testing.T) {
	long := strings.Repeat("x", 600)
	many := strings.Repeat(`"x",`, 30)
	fields := ""
	for i := range 30 {
		fields += fmt.Sprintf(`"a%02d":"x",`, i)
	}
	for _, body := range []string{
		`{"base":["` + long + `","` + long + `"],"filename":["has already been taken"]}`,
		`{"base":[` + many + `"Full name already exists"]}`,
		`{` + fields + `"filename":["has already been taken"]}`,
	} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(422)
			io.WriteString(w, body)
		})
		_, err := client.CreateRepository(t.Context(), "new", nil)
		if !errors.Is(err, packagecloud.ErrExists) {
			t.Errorf("the error is %v", err)
		}
		e, _ := errors.AsType[*packagecloud.Error](err)
		if _, ok := e.Fields["a00"]; len(e.Fields) > 20 || len(e.Fields) == 20 && !ok {
			t.Errorf("the fields are %v", e.Fields)
		}
	}
}

func TestError_TokenAtTheEndOfALongBody(t *testing.T) {
	c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(422)
		io.WriteString(w, strings.Repeat(" ", 64<<10-20)+fakeToken)
	})
	_, err := client.CreateRepository(t.Context(), "new", nil)
	e, _ := errors.AsType[*packagecloud.Error](err)
	if bytes.Contains(e.Body(), []byte(fakeToken[:12])) {
		t.Error("half of the token shows")
	}
	c.clean(t, err)
}

// Guarantee A3.
func TestError_SuccessThatIsNoneIsSaidSo(t *testing.T) {
	for name, body := range map[string]string{"html": "<html>log in</html>", "empty": "", "array": "[1]", "cut": `{"name":`} {
		c, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		_, err := client.Repository("acme", "main").Info(t.Context())
		if err == nil || !strings.Contains(err.Error(), "base URL") || strings.Contains(err.Error(), "log in") {
			t.Errorf("%s: the error is %v", name, err)
		}
		c.clean(t, err)
		for _, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
			if name != "array" && err == nil {
				t.Errorf("%s: a list of it is no error", name)
			}
		}
	}
}

// A page or an error in place of the answer doesn't delete anything.
//
// Guarantee A3.
func TestDelete_SuccessThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []string{"<html>log in</html>", `{"error":"maintenance"}`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		if err := client.Repository("acme", "main").Delete(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}); err == nil {
			t.Errorf("%s is taken for success", body)
		}
	}
	for _, body := range []string{"", "{}", " \n"} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		if err := client.Repository("acme", "main").Delete(t.Context(), &packagecloud.Package{Distribution: "ubuntu/jammy", Filename: demo}); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// Guarantee A3.
func TestError_RateLimitIsNoSpentQuota(t *testing.T) {
	f := setup(t)
	f.srv.Inject(packagecloudtest.Fault{Status: 429, ContentType: "application/json", Body: `{"message":"API rate limit exceeded"}`, Header: http.Header{"Retry-After": {"0"}}})
	if _, err := f.repo.Info(t.Context()); err != nil || len(f.requests("")) != 2 {
		t.Errorf("%d requests: %v", len(f.requests("")), err)
	}
}

func TestError_AnObjectInPlaceOfAListIsNoEmptyList(t *testing.T) {
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"message":"log in"}`) })
	n := 0
	for _, err := range client.Repository("acme", "main").Packages(t.Context(), nil) {
		if n++; err == nil {
			t.Error("no error")
		}
	}
	if n != 1 {
		t.Errorf("%d elements; want the error alone", n)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const none = -1
	for value, want := range map[string]time.Duration{
		"":                              none,
		"120":                           2 * time.Minute,
		" 7 ":                           7 * time.Second,
		"0":                             0,
		"-1":                            none,
		"1.5":                           none,
		"1m":                            none,
		"1e3":                           none,
		"2147483648":                    2147483648 * time.Second,
		"9223372037":                    9223372036 * time.Second, // more is longer than a Duration
		"99999999999999999999":          9223372036 * time.Second,
		strings.Repeat("9", 400):        9223372036 * time.Second,
		"Fri, 31 Dec 9999 23:59:59 GMT": math.MaxInt64,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
		"soon":                          none,
	} {
		got, ok := packagecloud.ParseRetryAfter(value, now)
		if got != max(want, 0) || ok != (want != none) {
			t.Errorf("%q gives %v, %v; want %v", value, got, ok, want)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"", "120", "-1", "Fri, 02 Jan 2026 03:05:05 GMT", "9999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := packagecloud.ParseRetryAfter(s, time.Unix(0, 0)); d < 0 || d > 0 && !ok {
			t.Errorf("%q gives %v", s, d)
		}
	})
}

// Guarantee A3.
func FuzzParseFields(f *testing.F) {
	for _, s := range []string{`{"error":"Unauthenticated"}`, `{"filename":["not found"]}`, `{"a":[1,{}],"b":null}`, `[]`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		size := 0
		fields := packagecloud.ParseFields(body)
		for key, messages := range fields {
			size += len(key)
			for _, m := range messages {
				size += len(m)
				if strings.ContainsAny(m, "\r\n\x00") {
					t.Errorf("a control character in %q", m)
				}
			}
		}
		if len(fields) > 20 || size > 20*21*600 {
			t.Errorf("%d fields of %d bytes", len(fields), size)
		}
	})
}
