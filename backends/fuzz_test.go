package backends_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packagecloud-go/sdk/backends"
	"github.com/packagecloud-go/sdk/backends/command"
	"github.com/packagecloud-go/sdk/backends/env"
	"github.com/packagecloud-go/sdk/backends/file"
	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/tokensourcetest"
)

// FuzzParse_Openers holds the openers of this module to what Opener asks: that a
// source's spelling opens the same source. No slip makes another chain of a spec
// that is accepted. And a token anywhere in a spec, as it is or percent-encoded, is
// refused and not repeated.
//
// Guarantee B8.
func FuzzParse_Openers(f *testing.F) {
	const token = "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a59687"
	for _, seed := range []string{
		"env:A", "env:A,file:/x?private=true#token,command:pass%20show%20x?timeout=10s&stderr=true#a%20b", "file:~/.packagecloud#token",
		"file:$CREDENTIALS_DIRECTORY/x", "file:C:\\x", "command:%20a%20%20b%09", "file:./~x%00", "env:%ff%3d", "file:x?private=false", "command:a?timeout=1e9s",
	} {
		for at := range uint8(len(seed)) {
			f.Add(seed, at, at%2 == 0)
		}
	}
	openers := []backends.Opener{env.Opener(), file.Opener(), command.Opener()}
	f.Fuzz(func(t *testing.T, text string, at uint8, encoded bool) {
		if source, err := backends.Parse(text, openers...); err == nil {
			spelled := source.(fmt.Stringer).String()
			again, err := backends.Parse(spelled, openers...)
			if err != nil {
				t.Fatalf("%q was accepted, and its spelling %q refused: %v", text, spelled, err)
			}
			if got := again.(fmt.Stringer).String(); got != spelled {
				t.Errorf("%q is spelled %q the second time", spelled, got)
			}
			for _, slip := range slipsOf(text) {
				if _, err := backends.Parse(slip, openers...); !errors.Is(err, tokensource.ErrInvalid) {
					t.Errorf("%q: error %v, want ErrInvalid", slip, err)
				}
			}
		}
		i := min(int(at), len(text))
		before, after := text[:i], text[i:]
		if joins(before, len(before)-1) || joins(after, 0) || encoded && after != "" && after[0] == '%' {
			return // it would be part of a longer word, which is no token
		}
		given := token
		if encoded {
			given = ""
			for _, c := range token {
				given += fmt.Sprintf("%%%02x", c)
			}
		}
		_, err := backends.Parse(before+given+after, openers...)
		if !errors.Is(err, tokensource.ErrInvalid) {
			t.Fatalf("a token in %q: error %v, want ErrInvalid", text, err)
		}
		tokensourcetest.AssertNoSecret(t, err, token)
	})
}

// slipsOf returns a spec with slips of several kinds.
func slipsOf(text string) []string {
	slips := []string{text + ",", "," + text, strings.Replace(text, ":", "://", 1), strings.ToUpper(text[:1]) + text[1:]}
	for _, quote := range []string{`"`, "'", "`"} {
		slips = append(slips, quote+text+quote, quote+text, text+quote, text+",env:"+quote+"X"+quote)
	}
	for _, separator := range []string{";", "|", " ", "\n", "\r\n", "\t", ", "} {
		slips = append(slips, text+separator+"env:X", "env:X"+separator+text)
	}
	for _, name := range []string{"$X", "${X}", "%X%", "X=Y", "//X", "X:Y", "X%20Y"} {
		slips = append(slips, text+",env:"+name)
	}
	return slips
}

// joins reports whether the byte of s at i, if there is one, is a part of a word or
// of a percent-encoded byte.
func joins(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return false
	}
	c := s[i]
	return c == '%' && i > 0 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
