package packagecloud

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The API gives the same field as text, number, null or "N/A", by type of
// package and age of the answer. These types take any of them; what makes no
// sense is the zero value.

// text is a string; null and numbers are taken too.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if n := len(data); n > 1 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 && utf8.Valid(data) {
		*t = text(data[1 : n-1]) // as it is, which is most often
		return nil
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
		return nil
	}
	if s := string(data); s != "null" && !strings.ContainsAny(s, "{[") {
		*t = text(s)
	}
	return nil
}

// checksum returns t if it is hexadecimal of n digits, else "": "N/A", "pending"
// and the like verify nothing.
func (t text) checksum(n int) string {
	if _, err := hex.DecodeString(string(t)); err != nil || len(t) != n {
		return ""
	}
	return string(t)
}

// address is a URL that is no secret; "" and "N/A" mean that there is none. User
// info would be a credential and is left out.
type address string

func (a *address) UnmarshalJSON(data []byte) error {
	var t text
	t.UnmarshalJSON(data)
	*a = address(t)
	if t == "N/A" {
		*a = ""
	} else if strings.Contains(string(t), "@") { // the scope of an npm package, more often
		if u, err := url.Parse(string(t)); err != nil {
			*a = ""
		} else if u.User != nil {
			u.User = nil
			*a = address(u.String())
		}
	}
	return nil
}

// number is an integer, which also comes as text, such as "3732.0". What is
// negative makes no sense.
type number int64

func (n *number) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	if i, err := strconv.ParseUint(s, 10, 63); err == nil {
		*n = number(i)
	} else if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1<<62 {
		*n = number(f)
	}
	return nil
}

// flag is a bool, which also comes as text or number.
type flag bool

func (b *flag) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	*b = s == "true" || s == "1"
	return nil
}

// list is an array, or null; whatever isn't one is empty.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	var items []T
	if json.Unmarshal(data, &items) == nil {
		*l = items
	}
	return nil
}
