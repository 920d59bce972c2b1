package awssm

import (
	"testing"

	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

func TestValue_SameBesideAField(t *testing.T) {
	for _, test := range []struct {
		a, b, field string
		same        bool
	}{
		{`{"token":"a","x":1}`, `{ "x":1, "token":"b"}`, "token", true},
		{`{"x":1}`, `{"x":1,"token":"b"}`, "token", true},
		{`{"token":"a","x":1}`, `{"token":"a","x":2}`, "token", false},
		{`{"token":"a","x":1}`, `{"token":"a"}`, "token", false},
		{`{"token":"a"}`, `a`, "token", false},
		{"a", "b", "", true},
	} {
		a, b := value{data: test.a}, value{data: test.b}
		if a.sameBeside(b, sourcekit.Field(test.field)) != test.same || b.sameBeside(a, sourcekit.Field(test.field)) != test.same {
			t.Errorf("%s and %s, field %q: want %t", test.a, test.b, test.field, test.same)
		}
	}
}
