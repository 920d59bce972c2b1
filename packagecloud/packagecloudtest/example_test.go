package packagecloudtest_test

import (
	"fmt"
	"net/http"

	"github.com/packagecloud-go/sdk/packagecloud/packagecloudtest"
)

func Example() {
	srv := packagecloudtest.NewServer(&packagecloudtest.Options{TLS: true})
	defer srv.Close()
	srv.CreateRepository("main", false)
	if err := srv.AddPackage("main", "ubuntu/noble", "demo_1.0_amd64.deb", []byte("made up")); err != nil {
		fmt.Println(err)
		return
	}

	// A program needs srv.URL and srv.Token(), and must trust srv.CertPEM().
	req, err := http.NewRequest("GET", srv.URL+"/api/v1/repos/acme/main/packages.json", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.SetBasicAuth(srv.Token(), "")
	resp, err := srv.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get("Total"))

	fmt.Println(srv.Packages("main")[0].Filename)
	// Output:
	// 200 1
	// demo_1.0_amd64.deb
}

func ExampleServer_Inject() {
	srv := packagecloudtest.NewServer(nil)
	defer srv.Close()

	// The second and the third request fail; later ones succeed.
	srv.Inject(packagecloudtest.Fault{Path: "/api/v1/**", Skip: 1, Times: 2, Status: http.StatusBadGateway})

	for range 4 {
		req, err := http.NewRequest("GET", srv.URL+"/api/v1/repos.json", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.SetBasicAuth(srv.Token(), "")
		resp, err := srv.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 200
	// 502
	// 502
	// 200
}
