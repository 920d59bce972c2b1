package packagecloudtest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
)

// maxForm bounds the body of a request without a file.
const maxForm = 1 << 20

// params returns the parameters in a request's query and body. The body may be
// a form of either kind or JSON. Nested JSON objects become names in brackets,
// as in "package[name]".
func params(r *http.Request) (url.Values, error) {
	out := r.URL.Query()
	if r.Body == nil {
		return out, nil
	}
	mediaType, options, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body := http.MaxBytesReader(nil, r.Body, maxForm)
	switch mediaType {
	case "application/x-www-form-urlencoded":
		b, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return nil, err
		}
		for key, values := range form {
			out[key] = append(values, out[key]...)
		}
	case "application/json":
		b, err := io.ReadAll(body)
		if err != nil || len(b) == 0 {
			return out, err
		}
		var object map[string]any
		if err := json.Unmarshal(b, &object); err != nil {
			return nil, err
		}
		for key, value := range object {
			flatten(out, key, value)
		}
	case "multipart/form-data":
		form := multipartReader(body, options)
		for {
			part, err := form.NextPart()
			if err == io.EOF {
				return out, nil
			}
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(part)
			if err != nil {
				return nil, err
			}
			out[part.FormName()] = append([]string{string(b)}, out[part.FormName()]...)
		}
	}
	return out, nil
}

// flatten adds a JSON value to out, with nested names in brackets.
func flatten(out url.Values, key string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for inner, value := range v {
			flatten(out, key+"["+inner+"]", value)
		}
	case []any:
		for _, value := range v {
			flatten(out, key+"[]", value)
		}
	case nil:
	case string:
		out[key] = append([]string{v}, out[key]...)
	default:
		out[key] = append([]string{fmt.Sprint(v)}, out[key]...)
	}
}

func multipartReader(r io.Reader, options map[string]string) *multipart.Reader {
	return multipart.NewReader(r, options["boundary"])
}

// truth parses a boolean as Rails does.
func truth(s string) bool { return s == "1" || s == "true" || s == "on" || s == "yes" || s == "t" }

// badRequest writes the answer to a body that doesn't fit its content type.
func badRequest(w http.ResponseWriter) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": "Bad Request"})
}
