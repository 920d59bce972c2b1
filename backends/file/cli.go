package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/packagecloud-go/sdk/tokensource"
	"github.com/packagecloud-go/sdk/tokensource/sourcekit"
)

const (
	cliField    = "token"
	cliURLField = "url"
	cliForm     = `{"url": "https://packagecloud.io", "token": "..."}`
)

// cliURL returns the base URL in the file of the official CLI, without a slash at
// its end, or "" if it holds none. The CLI's version 0.2.14 writes the URL itself
// where the key "url" belongs.
func cliURL(data []byte) (string, error) {
	token, address := sourcekit.Field(cliField), sourcekit.Field(cliURLField)
	if _, err := token.Write(data, ""); err != nil {
		return "", fmt.Errorf("%s; write %s to it", message(err), cliForm)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return "", errors.New("the value is not a JSON object; write " + cliForm + " to it")
	}
	if raw, ok := object[cliURLField]; ok {
		if _, err := address.Write(data, ""); err != nil || string(raw) == "null" {
			return "", err // It may be there twice.
		}
		text, err := address.Read(data)
		if err != nil || text == "" {
			return "", err
		}
		return baseURL(text)
	}
	found := ""
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !isHTTP(key) {
			continue
		}
		base, err := baseURL(key)
		if err != nil {
			return "", err
		}
		if found != "" && found != base {
			return "", errors.New(`it holds several URLs; keep one, as the value of "url"`)
		}
		found = base
	}
	return found, nil
}

func isHTTP(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// baseURL checks a URL and drops the slashes at its end. Its errors don't repeat
// it, since people put tokens into URLs.
func baseURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("its URL can't be parsed; expected one such as https://packagecloud.io")
	case u.User != nil:
		return "", errors.New("its URL holds user information; remove that, and replace the token if it was one")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return "", errors.New("its URL is not one of http or https with a host; expected one such as https://packagecloud.io")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("its URL has a query or a fragment; expected one such as https://packagecloud.io")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// message is the text of an error without its kind.
func message(err error) string {
	if e, ok := errors.AsType[*tokensource.Error](err); ok {
		return e.Message
	}
	return err.Error()
}
