package command

import (
	"fmt"
	"regexp"
)

// Words that mean something to a shell only.
var (
	isOperator   = regexp.MustCompile("^([|&;()]+|[0-9&]*[<>].*)$|[;`]$").MatchString
	isQuoted     = regexp.MustCompile("^[\"'`]|[\"']$").MatchString
	isExpansion  = regexp.MustCompile(`^\$[A-Za-z_]|\$[{(]|^~/`).MatchString
	isAssignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`).MatchString
)

// shellFlaw says which word of a spec needs a shell, and doesn't repeat it: it may
// hold a secret, as NAME=value does. The helper would take it for an argument.
func shellFlaw(words []string) string {
	for i, word := range words {
		what := ""
		switch {
		case i == 0 && isAssignment(word):
			what = "sets a variable; set it for this program, or in Options.Env"
		case isOperator(word):
			what = "is an operator of a shell; write a script that does this, and name it here"
		case isQuoted(word):
			what = "has a quote of a shell; write it without, or a script for an argument with spaces"
		case isExpansion(word):
			what = "is for a shell to expand; write its value, or a script that does this"
		default:
			continue
		}
		return fmt.Sprintf("the command is run without a shell, and word %d %s", i+1, what)
	}
	return ""
}
