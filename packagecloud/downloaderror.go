package packagecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// errShort is an answer that ended early, as it seems by its own end.
var errShort = fmt.Errorf("the answer ended early: %w", io.ErrUnexpectedEOF)

// cutError is an answer that broke off; the download can be resumed.
type cutError struct {
	written int64
	err     error
}

func (e *cutError) Error() string {
	return fmt.Sprintf("the download broke off after %d bytes: %v", e.written, e.err)
}

func (e *cutError) Unwrap() error { return e.err }

// writeError is a failure of the caller's writer, which no retry mends.
type writeError struct {
	name string
	err  error
}

func (e *writeError) Error() string {
	return "packagecloud: " + e.name + ": writing it: " + e.err.Error()
}

func (e *writeError) Unwrap() error { return e.err }

// isOfWriter reports whether err is a failure of the caller's writer. It may wrap an
// error of another request, which says nothing about this download.
func isOfWriter(err error) bool {
	_, ok := err.(*writeError)
	return ok
}

// endedEarly reports whether err is an answer that ended before its time.
func endedEarly(err error) bool { return !isOfWriter(err) && errors.Is(err, errShort) }

func (s *sink) tooLarge() error {
	return fmt.Errorf("%w: %s may have %d bytes; raise MaxBytes, or leave it at 0, if so large a file is right", ErrTooLarge, s.name, s.maxBytes)
}

// failure completes the error of a fetch. Only an answer that broke off while the
// caller was waiting becomes one that another try may mend.
func (d *download) failure(ctx context.Context, r request, answer *exchange.Answer, err error) error {
	cut, ok := err.(*cutError) // of this download, not of one that the writer belongs to
	switch {
	case !ok:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("packagecloud: %s: %w", d.name, cut.err)
	}
	r.path = "download of " + d.name
	return r.failure(answer, cut)
}

// judgeDownload decides on another try. A denial gets one, unless the try before
// was denied too: the next try is redirected to a new address.
func judgeDownload(err error, denied bool) exchange.Verdict {
	if isOfWriter(err) {
		return exchange.Verdict{}
	}
	verdict := packageDownload.on("").judge(err)
	verdict.Again = verdict.Again || expired(err) && !denied
	return verdict
}

// expired reports whether the signed address that the download was redirected
// to had run out: the next try gets a new one.
func expired(err error) bool {
	e, ok := answerOf(err)
	return ok && e.StatusCode == http.StatusForbidden
}
