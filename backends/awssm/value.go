package awssm

import (
	"bytes"
	"encoding/json"

	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

// value is one version of a secret.
type value struct {
	version string
	stages  []string
	data    string
	binary  bool // data is to be written back as bytes
}

// lacks reports whether v is a JSON object without that field.
func (v value) lacks(field sourcekit.Field) bool {
	var object map[string]json.RawMessage
	if field == "" || json.Unmarshal([]byte(v.data), &object) != nil || object == nil {
		return false
	}
	_, ok := object[string(field)]
	return !ok
}

// sameBeside reports whether v and w differ at most in that field.
func (v value) sameBeside(w value, field sourcekit.Field) bool {
	a, err1 := field.Write([]byte(v.data), "")
	b, err2 := field.Write([]byte(w.data), "")
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}
