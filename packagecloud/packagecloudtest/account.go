package packagecloudtest

import "net/http"

// showToken returns the API token to a client that knows the account's e-mail
// and password.
func (s *Server) showToken(c *call) {
	writeJSON(c.w, http.StatusOK, map[string]string{"token": s.Token()})
}

func (s *Server) gemVersion(c *call) {
	writeJSON(c.w, http.StatusOK, map[string]string{"major": "0", "minor": "2", "patch": "1"})
}

func (s *Server) showLicense(c *call) {
	if c.value("license_key") != s.opts.LicenseKey {
		notFound(c.w)
		return
	}
	writeJSON(c.w, http.StatusOK, map[string]string{
		"license": "---\n:company_name: " + s.opts.Owner + "\n:company_domain: example.com\n:user_email: " + s.opts.Email +
			"\n:user_max: -1\n:repository_max: -1\n:token_max: -1\n:apt: true\n:yum: true\n:rubygem: true\n:start_date: \n:end_date: \n",
		"signature": "-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n-----END PGP SIGNATURE-----\n",
	})
}
