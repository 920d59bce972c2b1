package backends

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Spec is one element of the string that [Parse] takes, decoded.
type Spec struct {
	// Scheme selects the backend.
	Scheme string
	// Name says which secret of the backend. It is never empty.
	Name string
	// Options tune the backend; nil if there are none.
	Options map[string]string
	// Field picks one value of a secret that is a JSON object; "" for none.
	Field string
}

// String spells s as [Parse] reads it, its options sorted by key. Parsing that
// gives s again, provided that its scheme, name and keys are what the grammar
// allows.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Scheme)
	b.WriteByte(':')
	name := escape(s.Name, "")
	if slices.Contains(builtin, s.Scheme) && strings.HasPrefix(name, "//") {
		name = "/%2F" + name[len("//"):] // since Parse takes scheme:// for a slip
	}
	b.WriteString(name)
	for i, key := range slices.Sorted(maps.Keys(s.Options)) {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(escape(key, "&="))
		b.WriteByte('=')
		b.WriteString(escape(s.Options[key], "&="))
	}
	if s.Field != "" {
		b.WriteByte('#')
		b.WriteString(escape(s.Field, ""))
	}
	return b.String()
}

const (
	// separators are written in place of a comma by mistake.
	separators = ";|"
	// quotes are what a shell, a settings file or a word processor puts around
	// a spec.
	quotes = "\"'`“”‘’"
)

// escape percent-encodes what the grammar gives a meaning, what Parse may take for
// a slip, the bytes of more, and what doesn't print.
func escape(s, more string) string {
	var b strings.Builder
	for i, r := range s {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		part := s[i : i+size]
		if plain(r, size) && !strings.ContainsAny(part, "%,?# "+separators+quotes+more) {
			b.WriteString(part)
			continue
		}
		for j := range len(part) {
			fmt.Fprintf(&b, "%%%02X", part[j])
		}
	}
	return b.String()
}

// plain reports whether a rune of that many bytes may stand for itself. What
// doesn't print, or turns the text around it, may not.
func plain(r rune, size int) bool {
	return unicode.IsPrint(r) && (r != utf8.RuneError || size > 1)
}

// CheckOptions returns an error if s has an option that isn't one of known. A
// backend that takes none calls it without arguments. The error is for an
// Opener to return; [Parse] adds where the option is.
func (s Spec) CheckOptions(known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(s.Options)) {
		if slices.Contains(known, key) {
			continue
		}
		message := fmt.Sprintf("%q has no option of this name", s.Scheme)
		if len(key) <= 32 {
			message = fmt.Sprintf("%q has no option %q", s.Scheme, key)
		}
		switch near := nearest(key, known); {
		case len(known) == 0:
			message += "; it takes none"
		case near != "":
			message += "; did you mean " + strconv.Quote(near) + "?"
		default:
			message += "; it takes " + strings.Join(known, ", ")
		}
		return s.OptionError(key, message)
	}
	return nil
}

// OptionError returns the error of an option whose value doesn't serve, for an
// Opener to return; [Parse] adds where the option is. The message says what
// would serve, and doesn't repeat the value.
func (s Spec) OptionError(key, message string) error {
	return &optionError{key: key, message: message}
}

// NameError is [Spec.OptionError] for the name: that no secret can have it, say.
func (s Spec) NameError(message string) error {
	return &nameError{message: message}
}

// FieldError is [Spec.OptionError] for the field: that the backend takes none,
// say.
func (s Spec) FieldError(message string) error {
	return &fieldError{message: message}
}

// Bool returns the value of a boolean option, false if it isn't there. Only
// "true" and "false" are values.
func (s Spec) Bool(key string) (bool, error) {
	value, ok := s.Options[key]
	switch {
	case !ok, value == "false":
		return false, nil
	case value == "true":
		return true, nil
	}
	return false, s.OptionError(key, fmt.Sprintf("option %q is true or false", key))
}

type optionError struct{ key, message string }

func (e *optionError) Error() string { return e.message }

type nameError struct{ message string }

func (e *nameError) Error() string { return e.message }

type fieldError struct{ message string }

func (e *fieldError) Error() string { return e.message }
