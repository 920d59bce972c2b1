package file

import (
	"regexp"
	"strings"
)

var (
	isVariable = regexp.MustCompile(`\$[A-Za-z_{(]|%[A-Za-z_]+%`).MatchString
	isList     = regexp.MustCompile(`:(env|file|command|awssm|vault|conjur):`).MatchString
)

// slip says what in the path of a file that isn't there was probably meant
// otherwise; "" if nothing looks like that. All of it may be part of a file's name.
func (s *Source) slip() string {
	path := strings.TrimPrefix(strings.TrimPrefix(s.name, homePrefix), credentialPrefix)
	first, last := path[:min(1, len(path))], path[max(len(path)-1, 0):]
	switch {
	case strings.HasPrefix(path, "./~/"):
		return `no ~ is expanded here; in a spec write file:~/NAME, and in a program CLI, or a path with os.UserHomeDir`
	case isVariable(path):
		return "no variable is expanded in a path; write the whole path"
	case strings.ContainsAny(first+last, "\"'`"):
		return "the path has a quote at an end; write it without quotes"
	case strings.TrimSpace(path) != path:
		return "the path has white space at an end; write it without"
	case strings.HasPrefix(path, scheme+":"), strings.Contains(path, "://"):
		return "the path begins like a URL; write the path alone, with one slash at its beginning"
	case isList(path):
		return "the path has a second source behind a colon; write a comma between two elements"
	case last == "/":
		return "the path ends in a slash, as that of a folder does; write it without"
	case strings.ContainsAny(path, "*#"), strings.Contains(path, "&"+privateOption+"="):
		return "the path has a *, a # or an & that means nothing in it; in a spec options go after ?, and the field after #"
	}
	return ""
}
