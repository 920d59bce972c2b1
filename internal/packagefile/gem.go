package packagefile

import (
	"io"
	"regexp"
	"slices"
	"strings"
)

// readGem reads the gemspec of a RubyGem: a tar archive with metadata.gz, which
// is YAML. RubyGems may spell a platform in several ways; base decides which
// one counts.
func readGem(base string, r io.ReaderAt, size int64) (Info, bool) {
	packed, ok := findInTar(r, size, "metadata.gz")
	if !ok {
		return Info{}, false
	}
	b, ok := gunzip(packed)
	if !ok {
		return Info{}, false
	}
	return gemInfo(base, b)
}

func gemInfo(base string, b []byte) (Info, bool) {
	y, ok := parseYAML(b)
	if !ok || y.tag != "!ruby/object:Gem::Specification" {
		return Info{}, false
	}
	info := Info{
		Summary:     y.get("summary").text(),
		Description: y.get("description").text(),
		Licenses:    y.get("licenses").list(),
	}
	name, nameOK := y.get("name").str()
	version, versionOK := y.get("version").get("version").version()
	info.Name, info.Version = name, version
	if !nameOK || !versionOK || !gemName.MatchString(name) || !gemVersion.MatchString(version) {
		return Info{}, false
	}
	spellings, ok := platforms(y.get("platform"))
	if !ok {
		return Info{}, false
	}
	// RubyGems names the file. Its versions may spell the platform differently.
	// The local file name then shows which version built the gem.
	for _, platform := range spellings {
		info.Type, info.Architecture = Gem, platform
		if len(spellings) == 1 || info.FileName() == base {
			info.Type = ""
			return info, platform == "" || validPart(platform)
		}
	}
	return Info{}, false
}

var (
	gemName    = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	gemVersion = regexp.MustCompile(`^[0-9]+(?:\.[0-9a-zA-Z]+)*$`)
)

// platforms returns the spellings of a gem's platform by the versions of
// RubyGems, the oldest first and each once. "" means ruby.
func platforms(n *yamlNode) ([]string, bool) {
	if n == nil || n.kind == yamlScalar && n.null() && n.tag == "" {
		return []string{""}, true
	}
	if n.kind == yamlMapping {
		return platformObject(n)
	}
	s, ok := n.str()
	switch {
	case !ok || s == "current": // "current" means the platform of the reader
		return nil, false
	case s == "ruby":
		return []string{""}, true
	}
	var out []string
	add := func(spelling string) {
		if !slices.Contains(out, spelling) {
			out = append(out, spelling)
		}
	}
	for _, gnu := range []bool{false, true} {
		parts := platform(s, gnu)
		add(strings.Join(parts, "-"))
		if len(parts) == 2 && !strings.Contains(s, "-") && strings.HasPrefix(s, parts[0]) {
			add(strings.Join(parts, "")) // RubyGems 4 joins a system and its version
		}
	}
	return out, true
}

// platformObject reads a platform in the form that RubyGems wrote before 2.0.
func platformObject(n *yamlNode) ([]string, bool) {
	var parts []string
	for _, key := range []string{"cpu", "os", "version"} {
		part := n.get(key)
		if part == nil || part.kind == yamlScalar && part.null() {
			continue
		}
		s, ok := part.version()
		if !ok {
			return nil, false
		}
		parts = append(parts, s)
	}
	return []string{strings.Join(parts, "-")}, len(parts) > 0 && n.tag == "!ruby/object:Gem::Platform"
}

// gemOS lists the operating systems of Gem::Platform, in its order. The first
// group of a pattern holds the version. A pattern without a name has the name
// in its first group and the version in the next.
var gemOS = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`aix([0-9]+)?`), "aix"},
	{regexp.MustCompile(`cygwin`), "cygwin"},
	{regexp.MustCompile(`darwin([0-9]+)?`), "darwin"},
	{regexp.MustCompile(`^macruby$`), "macruby"},
	{regexp.MustCompile(`freebsd([0-9]+)?`), "freebsd"},
	{regexp.MustCompile(`hpux([0-9]+)?`), "hpux"},
	{regexp.MustCompile(`^j(?:ava|ruby)$`), "java"},
	{regexp.MustCompile(`^java([0-9.]*)`), "java"},
	{regexp.MustCompile(`^dalvik([0-9]+)?$`), "dalvik"},
	{regexp.MustCompile(`^dotnet$`), "dotnet"},
	{regexp.MustCompile(`^dotnet([0-9.]*)`), "dotnet"},
	{regexp.MustCompile(`linux-?(\w+)?`), "linux"},
	{regexp.MustCompile(`mingw32`), "mingw32"},
	{regexp.MustCompile(`mingw-?(\w+)?`), "mingw"},
	{regexp.MustCompile(`(mswin[0-9]+)(?:_([0-9]+))?`), ""},
	{regexp.MustCompile(`netbsdelf`), "netbsdelf"},
	{regexp.MustCompile(`openbsd([0-9]+\.[0-9]+)?`), "openbsd"},
	{regexp.MustCompile(`bitrig([0-9]+\.[0-9]+)?`), "bitrig"},
	{regexp.MustCompile(`solaris([0-9]+\.[0-9]+)?`), "solaris"},
	{regexp.MustCompile(`^(\w+_platform)([0-9]+)?`), ""},
}

var (
	gemDigit     = regexp.MustCompile(`[0-9]`)
	gemX86       = regexp.MustCompile(`i[0-9]86`)
	gemOSVersion = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?$`)
)

// platform splits a platform into cpu, os and version, as Gem::Platform.new
// does. Without gnu, it works as RubyGems before 3.4, which drops a version
// that begins with gnu, as in x86_64-linux-gnu.
func platform(s string, gnu bool) []string {
	part := strings.Split(strings.TrimRight(s, "-"), "-")
	if n := len(part); n > 2 && !gemDigit.MatchString(part[n-1]) {
		part = append(part[:n-2:n-2], part[n-2]+"-"+part[n-1])
	}
	cpu, part := part[0], part[1:]
	if gemX86.MatchString(cpu) {
		cpu = "x86"
	}
	if len(part) == 2 && gemOSVersion.MatchString(part[1]) {
		return []string{cpu, part[0], part[1]}
	}
	if len(part) == 0 {
		out := system(cpu, gnu) // such as java
		if strings.HasPrefix(out[0], "mswin") && strings.HasSuffix(out[0], "32") {
			out = append([]string{"x86"}, out...)
		}
		return out
	}
	return append([]string{cpu}, system(part[0], gnu)...)
}

// system splits an operating system into its name and version.
func system(s string, gnu bool) []string {
	for _, known := range gemOS {
		m := known.pattern.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		out := []string{known.name}
		if m = m[1:]; known.name == "" {
			out, m = m[:1:1], m[1:]
		}
		if len(m) > 0 && m[0] != "" && (gnu || known.name != "linux" || !strings.HasPrefix(m[0], "gnu")) {
			out = append(out, m[0])
		}
		return out
	}
	return []string{"unknown"}
}
