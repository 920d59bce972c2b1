package packagecloud_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Guarantee A3.
func TestInfo_WhatIsNoRepositoryIsAnError(t *testing.T) {
	for body, ok := range map[string]bool{`{}`: false, `null`: false, `{"status":"ok"}`: false, `{"filename":"x"}`: false, `{"name":"main"}`: true, `{"path":"/acme/main"}`: true} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		info, err := client.Repository("acme", "main").Info(t.Context())
		if (err == nil) != ok || ok && info.FullName != "acme/main" || !ok && !strings.Contains(err.Error(), "is the base URL right?") {
			t.Errorf("%s: %+v, %v", body, info, err)
		}
	}
}

// Guarantee A5.
func TestRepositories_OddURLsAreNone(t *testing.T) {
	for _, urls := range []string{`"N/A"`, `[]`, `null`, `{"install_script":3}`} {
		_, client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `[{"name":"main","urls":`+urls+`}]`) })
		for info, err := range client.Repositories(t.Context(), nil) {
			if err != nil || info.Name != "main" {
				t.Errorf("%s: %v, %v", urls, info, err)
			}
		}
	}
}
