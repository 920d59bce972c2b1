package conjur

import (
	"regexp"
	"strings"
)

// isFullID finds an id with its kind, and its account or none.
var isFullID = regexp.MustCompile(`^([^:/]*:)?variable:`).MatchString

// isExpansion finds what a shell would have expanded.
var isExpansion = regexp.MustCompile(`^[$%]|\$[A-Za-z_{(]`).MatchString

// slip says how the id of a variable that isn't there was probably meant; "" if it
// looks like one.
func (s *Source) slip() string {
	id := s.variable
	switch {
	case isFullID(id):
		return "the id begins with the kind of the variable; give the id alone, such as prod/packagecloud/token, and the account as an option"
	case strings.HasPrefix(id, scheme+":"):
		return "the id begins with the name of this backend; give the id alone, such as prod/packagecloud/token"
	case strings.Contains(id, "://"):
		return "the id begins like a URL; give the id alone, such as prod/packagecloud/token, and the server as an option"
	case strings.HasPrefix(id, "/") || strings.HasSuffix(id, "/"):
		return "the id begins or ends with a slash; give it as policies do, such as prod/packagecloud/token"
	case strings.ContainsAny(id[:1]+id[len(id)-1:], "\"'` \t\r\n"):
		return "the id begins or ends with a quote or white space; give it without"
	case isExpansion(id):
		return "the id holds a variable of a shell, which nothing expands; give the id of Conjur's variable"
	}
	return ""
}
