package packagecloudtest

import "strings"

// endpoint describes one method and path, and the function that serves them.
type endpoint struct {
	// method is the HTTP method. Empty means every method, and GET includes
	// HEAD.
	method string
	// path is a pattern of http.ServeMux that may also hold the wildcards of
	// choices. A request may leave out a ".json" at its end.
	path string
	// wants is the credential that the endpoint requires. The server answers
	// 401 without it:
	//
	//	CredentialNone     none
	//	CredentialAPI      an API token
	//	CredentialAccount  the account's e-mail and password
	//	CredentialMaster   the repository's master token; none if it is public
	//	CredentialRead     an API or read token; none if the repository is public
	wants string
	serve func(*Server, *call)
}

// choices holds wildcards that match only these words.
var choices = map[string][]string{
	"{interval}":     {"daily", "weekly"},
	"{package_type}": {"deb", "rpm", "alpine", "node", "gem", "python", "helm"},
}

// paths returns the patterns under which the endpoint is registered.
func (e endpoint) paths() []string {
	for wildcard, words := range choices {
		if !strings.Contains(e.path, wildcard) {
			continue
		}
		var out []string
		for _, word := range words {
			out = append(out, strings.ReplaceAll(e.path, wildcard, word))
		}
		return out
	}
	return []string{e.path}
}

const (
	repositoryPath = "/api/v1/repos/{owner}/{repo}"
	installPath    = "/install/repositories/{owner}/{repo}"
)

// endpoints holds every endpoint of the server. testdata/endpoints.txt lists
// those of the service, and a test compares the two lists.
var endpoints = []endpoint{
	// The account.
	{"GET", "/api/v1/token.json", CredentialAccount, (*Server).showToken},
	{"GET", "/api/v1/gem_version.json", CredentialAPI, (*Server).gemVersion},
	{"GET", "/api/v1/licenses/{license_key}/license.json", CredentialNone, (*Server).showLicense},
	{"GET", "/api/v1/distributions.json", CredentialAPI, (*Server).listDistributions},

	// Repositories.
	{"GET", "/api/v1/repos.json", CredentialAPI, (*Server).listRepositories},
	{"POST", "/api/v1/repos.json", CredentialAPI, (*Server).newRepository},
	{"GET", repositoryPath + ".json", CredentialAPI, (*Server).showRepository},
	{"GET", repositoryPath + "/packages_with_bk_required_attributes", CredentialAPI, (*Server).listForMigration},
	{"GET", repositoryPath + "/readme.json", CredentialAPI, (*Server).showReadme},
	{"POST", repositoryPath + "/readme.json", CredentialAPI, (*Server).writeReadme},
	{"PATCH", repositoryPath + "/readme.json", CredentialAPI, (*Server).writeReadme},

	// Uploads and lists.
	{"POST", repositoryPath + "/packages/contents.json", CredentialAPI, (*Server).showContents},
	{"POST", repositoryPath + "/packages.json", CredentialAPI, (*Server).upload},
	{"GET", repositoryPath + "/packages.json", CredentialAPI, (*Server).listPackages},
	{"GET", repositoryPath + "/packages/{type}.json", CredentialAPI, (*Server).indexPackages},
	{"GET", repositoryPath + "/packages/{type}/{distribution}.json", CredentialAPI, (*Server).indexPackages},
	{"GET", repositoryPath + "/packages/{type}/{distribution}/{version}.json", CredentialAPI, (*Server).indexPackages},
	{"GET", repositoryPath + "/packages/{type}/{distribution}/{version}/{arch}.json", CredentialAPI, (*Server).indexPackages},
	{"GET", repositoryPath + "/search.json", CredentialAPI, (*Server).search},

	// One package.
	{"GET", repositoryPath + "/package/deb/{distribution}/{version}/{name}/{arch}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/dsc/{distribution}/{version}/{name}/{arch}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/rpm/{distribution}/{version}/{name}/{arch}/{package_version}/{release}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/gem/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/python/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/node/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/java/maven2/{group}/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/anyfile/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},
	{"GET", repositoryPath + "/package/helm/{version}/{name}/{package_version}.json", CredentialAPI, (*Server).showPackage},

	// Versions of a package.
	{"GET", repositoryPath + "/package/deb/{distribution}/{version}/{name}/{arch}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/dsc/{distribution}/{version}/{name}/{arch}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/rpm/{distribution}/{version}/{name}/{arch}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/gem/{name}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/python/{name}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/node/{name}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/java/maven2/{group}/{name}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/anyfile/{name}/versions.json", CredentialAPI, (*Server).listVersions},
	{"GET", repositoryPath + "/package/helm/{version}/{name}/versions.json", CredentialAPI, (*Server).listVersions},

	// Downloads of a package. Java has no such statistics.
	{"GET", repositoryPath + "/package/deb/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/deb/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/deb/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/dsc/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/dsc/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/dsc/{distribution}/{version}/{name}/{arch}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/rpm/{distribution}/{version}/{name}/{arch}/{package_version}/{release}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/rpm/{distribution}/{version}/{name}/{arch}/{package_version}/{release}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/rpm/{distribution}/{version}/{name}/{arch}/{package_version}/{release}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/gem/{name}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/gem/{name}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/gem/{name}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/python/{name}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/python/{name}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/python/{name}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/node/{name}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/node/{name}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/node/{name}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/anyfile/{name}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/anyfile/{name}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/anyfile/{name}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/helm/{version}/{name}/{package_version}/stats/downloads/count.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/helm/{version}/{name}/{package_version}/stats/downloads/detail.json", CredentialAPI, (*Server).downloadStatistics},
	{"GET", repositoryPath + "/package/helm/{version}/{name}/{package_version}/stats/downloads/series/{interval}.json", CredentialAPI, (*Server).downloadStatistics},

	// Deletion and promotion.
	{"DELETE", repositoryPath + "/gems/{filename}", CredentialAPI, (*Server).deletePackage},
	{"POST", repositoryPath + "/gems/{filename}/promote.json", CredentialAPI, (*Server).promote},
	{"DELETE", repositoryPath + "/java/maven2/{group}/{filename}", CredentialAPI, (*Server).deletePackage},
	{"POST", repositoryPath + "/java/maven2/{group}/{filename}/promote.json", CredentialAPI, (*Server).promote},
	{"DELETE", repositoryPath + "/{distribution}/{version}/{filename}", CredentialAPI, (*Server).deletePackage},
	{"POST", repositoryPath + "/{distribution}/{version}/{filename}/promote.json", CredentialAPI, (*Server).promote},

	// Installations.
	{"GET", repositoryPath + "/stats/installs/count.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/detail.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/series/{interval}.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/count.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/detail.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/series/{interval}.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/{version}/count.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/{version}/detail.json", CredentialAPI, (*Server).installStatistics},
	{"GET", repositoryPath + "/stats/installs/{distribution}/{version}/series/{interval}.json", CredentialAPI, (*Server).installStatistics},

	// Maven's files.
	{"GET", repositoryPath + "/artifacts.json", CredentialAPI, (*Server).showArtifact},
	{"PUT", repositoryPath + "/artifacts.json", CredentialAPI, (*Server).putArtifact},

	// Tokens.
	{"GET", repositoryPath + "/master_tokens", CredentialAPI, (*Server).listMasters},
	{"POST", repositoryPath + "/master_tokens", CredentialAPI, (*Server).newMaster},
	{"GET", repositoryPath + "/master_tokens/search", CredentialAPI, (*Server).searchMasters},
	{"GET", repositoryPath + "/master_tokens/{master_token}", CredentialAPI, (*Server).showMaster},
	{"DELETE", repositoryPath + "/master_tokens/{master_token}", CredentialAPI, (*Server).deleteMaster},
	{"GET", repositoryPath + "/master_tokens/{master_token}/read_tokens.json", CredentialAPI, (*Server).listReads},
	{"POST", repositoryPath + "/master_tokens/{master_token}/read_tokens.json", CredentialAPI, (*Server).newRead},
	{"GET", repositoryPath + "/master_tokens/{master_token}/read_tokens/{read_token}", CredentialAPI, (*Server).showRead},
	{"DELETE", repositoryPath + "/master_tokens/{master_token}/read_tokens/{read_token}", CredentialAPI, (*Server).deleteRead},

	// Keys.
	{"GET", repositoryPath + "/gpg_keys.json", CredentialAPI, (*Server).listKeys},
	{"POST", repositoryPath + "/gpg_keys.json", CredentialAPI, (*Server).addKey},
	{"GET", repositoryPath + "/gpg_keys/{name}.json", CredentialAPI, (*Server).showKey},
	{"DELETE", repositoryPath + "/gpg_keys/{name}.json", CredentialAPI, (*Server).deleteKey},

	// Install helpers.
	{"POST", installPath + "/tokens.text", CredentialMaster, (*Server).mintToken},
	{"GET", installPath + "/script.{package_type}.sh", CredentialMaster, (*Server).installScript},
	{"GET", installPath + "/config_file.list", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/config_file.repo", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/config_file.alpine", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/apt_auth_conf", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/gpg_key_url.list", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/gpg_key_url.repo", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/rsa_key_url.alpine", CredentialMaster, (*Server).installHelper},
	{"GET", installPath + "/rpm_base_url", CredentialMaster, (*Server).installHelper},

	// Files. The service also has them below /priv/{token}.
	{"GET", "/{owner}/{repo}/gpgkey", CredentialRead, (*Server).keyFile},
	{"GET", "/{owner}/{repo}/gpgkey/{name}", CredentialRead, (*Server).keyFile},
	{"GET", "/{owner}/{repo}/packages/{path...}", CredentialRead, (*Server).servePackage},

	// Unknown paths: the server checks the credential, then answers 404.
	{"", "/api/v1/{path...}", CredentialAPI, func(_ *Server, c *call) { notFound(c.w) }},
	{"", "/install/repositories/{owner}/{repo}/{path...}", CredentialMaster, func(_ *Server, c *call) { notFound(c.w) }},
	{"GET", "/{owner}/{repo}/{first}/{path...}", CredentialRead, func(_ *Server, c *call) { notFound(c.w) }},
}
