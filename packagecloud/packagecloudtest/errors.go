package packagecloudtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func writeText(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// unauthenticated writes the answer to a missing or wrong token.
func unauthenticated(w http.ResponseWriter) {
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "Unauthenticated"})
}

// notFound writes the answer for an unknown repository, package or path.
func notFound(w http.ResponseWriter) {
	writeJSON(w, http.StatusNotFound, map[string]string{"error": "not_found"})
}

// fileNotFound writes the answer when a client deletes or promotes an absent
// package.
func fileNotFound(w http.ResponseWriter) {
	writeJSON(w, http.StatusNotFound, map[string][]string{"filename": {"not found"}})
}

// invalid is the body of a refusal: messages by field name.
type invalid map[string][]string

func (e invalid) write(w http.ResponseWriter) { writeJSON(w, http.StatusUnprocessableEntity, e) }

const (
	taken           = "has already been taken"
	blank           = "can't be blank"
	wrongDistroText = "The specified distro does not support the package you've tried to upload"
	upgradeText     = "Upgrade to add more packages!"
	fullNameText    = "Validation failed: Full name already exists."
	quotaText       = "Bandwidth or Storage Limit Exceeded"
	serverErrorHTML = "<!DOCTYPE html>\n<html>\n<head><title>We're sorry, but something went wrong (500)</title></head>\n" +
		"<body><h1>We're sorry, but something went wrong.</h1></body>\n</html>\n"
)

func wrongDistro() invalid { return invalid{"repository": {wrongDistroText}} }

// duplicate returns the refusal of an existing package, in the chosen wording.
func (s *Server) duplicate() invalid {
	if s.opts.DuplicateWording == DuplicateFullName {
		return invalid{"repository": {fullNameText}}
	}
	return invalid{"filename": {taken}}
}

func paymentRequired(w http.ResponseWriter) {
	writeJSON(w, http.StatusPaymentRequired, map[string][]string{"error": {"payment required"}})
}

func quotaSpent(w http.ResponseWriter) {
	writeText(w, http.StatusTooManyRequests, "text/html", quotaText)
}

func serverError(w http.ResponseWriter) {
	writeText(w, http.StatusInternalServerError, "text/html; charset=utf-8", serverErrorHTML)
}

// writeStatus writes an answer with this status, in the service's own form.
func writeStatus(w http.ResponseWriter, status int) {
	switch {
	case status == http.StatusUnauthorized:
		unauthenticated(w)
	case status == http.StatusPaymentRequired:
		paymentRequired(w)
	case status == http.StatusNotFound:
		notFound(w)
	case status == http.StatusUnprocessableEntity:
		invalid{"filename": {taken}}.write(w)
	case status == http.StatusTooManyRequests:
		quotaSpent(w)
	case status >= 500:
		writeText(w, status, "text/html; charset=utf-8", serverErrorHTML)
	default:
		w.WriteHeader(status)
	}
}
