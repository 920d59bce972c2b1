package packagecloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packagecloud-go/sdk/packagecloud"
	"github.com/packagecloud-go/sdk/tokensource"
)

func groups(t *testing.T) map[string][]packagecloud.Distribution {
	return decode[map[string][]packagecloud.Distribution](t, `{
		"deb":[{"display_name":"Ubuntu","index_name":"ubuntu","versions":[{"id":20,"index_name":"focal","version_number":"20.04"},{"id":237,"index_name":"jammy","version_number":"22.04"},{"id":284,"index_name":"noble","version_number":"24.04"}]},
			{"index_name":"debian","versions":[{"id":1,"index_name":"bookworm","version_number":"12"}]},
			{"index_name":"any","versions":[{"id":35,"index_name":"any","version_number":null}]},
			{"index_name":"twice","versions":[{"id":40,"index_name":"a","version_number":"1"},{"id":41,"index_name":"b","version_number":"1"}]}],
		"py":[{"display_name":"Python","index_name":"python","versions":[{"id":166,"display_name":"Python"}]}],
		"jar":[{"index_name":"java","versions":[{"id":167,"index_name":"maven2"}]}]}`)
}

// Guarantee U4.
func TestLookup_ByNameAndNumber(t *testing.T) {
	for _, test := range []struct {
		group, name string
		id          int
		want        string // in the error
	}{
		{"deb", "ubuntu/jammy", 237, ""},
		{"deb", "ubuntu/22.04", 237, ""},
		{"deb", "debian/12", 1, ""},
		{"deb", "debian", 1, ""},
		{"deb", "any/any", 35, ""},
		{"py", "python", 166, ""},
		{"py", "python/1", 166, ""},
		{"py", "", 166, ""},
		{"jar", "java/maven2", 167, ""},
		{"jar", "java", 167, ""},
		{"deb", "ubuntu", 0, "ubuntu/"},
		{"deb", "", 0, "UploadOptions.Distribution"},
		{"deb", "ubuntu/jamy", 0, "near are ubuntu/jammy"},
		{"deb", "ubuntu/24.4", 0, "near are ubuntu/noble"},
		{"deb", "nobel", 0, "ubuntu/noble"},
		{"deb", "debian/stable", 0, "near are debian/"},
		{"deb", "Ubuntu/jammy", 0, "near are ubuntu/jammy"},
		{"deb", "python", 0, "takes py packages"},
		{"deb", "twice/1", 0, "ambiguous"},
		{"docker", "x", 0, "no distributions"},
		{"deb", strings.Repeat("x", 1<<20), 0, "no distribution"},
	} {
		id, err := packagecloud.Lookup(groups(t), test.group, test.name)
		if id != test.id || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %.50s: %d, %v; want %d, %q", test.group, test.name, id, err, test.id, test.want)
		}
		if err != nil && (!errors.Is(err, packagecloud.ErrInvalid) || len(err.Error()) > 500) {
			t.Errorf("%s %.50s: %v", test.group, test.name, err)
		}
	}
}

func TestDistributions_OddOnesDoNotBreakTheRest(t *testing.T) {
	f := setup(t)
	all, err := f.client.Distributions(t.Context())
	if err != nil || len(all["deb"]) == 0 || len(all["py"]) == 0 {
		t.Errorf("%d groups, %v", len(all), err)
	}
	_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"new":{"not":"a list"},"none":null,"deb":[{"index_name":"ubuntu","versions":null}]}`)
	})
	all, err = client.Distributions(t.Context())
	if err != nil || len(all) != 3 || len(all["deb"]) != 1 || len(all["new"]) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	odd := decode[packagecloud.Distribution](t, `{"display_name":7,"index_name":null,"versions":[{"id":"5","version_number":9}]}`)
	if odd.DisplayName != "7" || odd.Versions[0].ID != 5 || odd.Versions[0].VersionNumber != "9" {
		t.Errorf("got %+v", odd)
	}
}

// Guarantee U4.
func TestUpload_ListOfDistributionsIsFetchedOnce(t *testing.T) {
	f := setup(t)
	for _, name := range []string{"a_1_amd64.deb", "b_1_amd64.deb", "c_1_amd64.deb"} {
		if _, err := f.repo.Upload(t.Context(), packagecloud.Bytes(name, []byte("x")), &packagecloud.UploadOptions{Distribution: "ubuntu/22.04"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.requests("GET")); n != 1 {
		t.Errorf("%d requests besides the uploads; want 1", n)
	}
	for _, p := range f.stored(t, 3) {
		if p.DistroVersion != "ubuntu/jammy" {
			t.Errorf("it went to %s", p.DistroVersion)
		}
	}
	_, err := f.repo.Upload(t.Context(), packagecloud.Bytes(demo, []byte("x")), &packagecloud.UploadOptions{Distribution: "ubuntu/jamy"})
	f.want(t, err, packagecloud.ErrInvalid)
	f.stored(t, 3)
}

// Guarantee U4.
func TestUpload_OldListOfDistributionsServesWhileThereIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists, up := 0, true
		client, err := packagecloud.New(tokensource.Static(fakeToken), packagecloud.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == "POST" {
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
					return reply(r, 201, `{"filename":"`+demo+`"}`), nil
				}
				lists++
				if !up {
					return reply(r, 500, ""), nil
				}
				return reply(r, 200, `{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy","version_number":"22.04"}]}]}`), nil
			}),
		}))
		if err != nil {
			t.Fatal(err)
		}
		upload := func(ctx context.Context, distribution string) error {
			_, err := client.Repository("acme", "main").Upload(ctx, packagecloud.Bytes(demo, []byte("x")), &packagecloud.UploadOptions{Distribution: distribution})
			return err
		}
		if err := upload(t.Context(), "ubuntu/jammy"); err != nil {
			t.Fatal(err)
		}
		up = false
		time.Sleep(24 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := upload(ctx, "ubuntu/jammy"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its caller had left, but the error is %v", err)
		}
		cancel()
		lists = 0
		for range 10 {
			if err := upload(t.Context(), "ubuntu/jammy"); err != nil {
				t.Error(err)
			}
		}
		if lists != 5 { // the tries of one fetch
			t.Errorf("the list was asked for %d times; want 5", lists)
		}
		// A name that isn't in it may be a new one.
		err = upload(t.Context(), "ubuntu/noble")
		if e, ok := errors.AsType[*packagecloud.Error](err); !ok || e.StatusCode != 500 {
			t.Errorf("the error is %v; want that of the list", err)
		}
		up = true
		time.Sleep(2 * time.Minute)
		lists = 0
		for range 2 {
			if err := upload(t.Context(), "ubuntu/jammy"); err != nil {
				t.Error(err)
			}
		}
		if lists != 1 {
			t.Errorf("once it is up, the list was asked for %d times; want 1", lists)
		}
	})
}

// Guarantee U4.
func FuzzLookup(f *testing.F) {
	f.Add([]byte(`{"deb":[{"index_name":"ubuntu","versions":[{"id":237,"index_name":"jammy","version_number":"22.04"}]}]}`), "deb", "ubuntu/jammy")
	f.Add([]byte(`{"py":[{"versions":[{}]}]}`), "py", "/1")
	f.Fuzz(func(t *testing.T, b []byte, group, name string) {
		var groups map[string][]packagecloud.Distribution
		if json.Unmarshal(b, &groups) != nil {
			return
		}
		if _, err := packagecloud.Lookup(groups, group, name); err != nil && len(err.Error()) > 100_000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	})
}

// Guarantee U4.
func TestLookup_OfTheServicesOwnList(t *testing.T) {
	f := setup(t)
	all, err := f.client.Distributions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		group, name string
		id          int
		want        string
	}{
		{"deb", "debian/12", 215, ""}, // its number is 12.0
		{"deb", "debian/10", 150, ""},
		{"deb", "debian/bookwurm", 0, "near are debian/bookworm"},
		{"rpm", "sles/12", 0, "near are sles/12."}, // 12.0 to 12.5
		{"deb", "ubuntu", 0, "lacks a version; add one, such as ubuntu/"},
		{"deb", "ubuntu/", 0, "lacks a version; add one, such as ubuntu/"},
	} {
		id, err := packagecloud.Lookup(all, test.group, test.name)
		if id != test.id || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %d, %v; want %d, %q", test.group, test.name, id, err, test.id, test.want)
		}
	}
}
