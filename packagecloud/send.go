package packagecloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/packagecloud-go/sdk/packagecloud/internal/exchange"
)

// sending is one form on its way, over all tries.
type sending struct {
	*upload
	request request

	pkg   *Package // the outcome
	tries int
	lost  bool // an earlier try may have been carried out
	final bool // no further try changes the outcome
}

// send posts the form until the outcome is known. After a try that may have been
// carried out, no failure of a later one tells that the package isn't there.
func (u *upload) send(ctx context.Context, req request, form *form) (*Package, error) {
	s := &sending{upload: u, request: req.withUpload(form, &u.transfer)}
	err := u.repo.client.retry.Run(ctx, func(n int) (err error) {
		s.tries, s.final = n, true
		s.pkg, err = s.try(ctx)
		return err
	}, func(err error) exchange.Verdict {
		return exchange.Verdict{Again: !s.final && !lasting(err), RetryAfter: retryAfter(err)}
	}, nil)
	switch {
	case err == nil:
		return s.pkg, nil
	case s.final:
		return nil, err
	case ctx.Err() == nil:
		err = fmt.Errorf("packagecloud: %s is not listed in %s after %d tries: %w", u.content.Name, u.repo, s.tries, err)
	}
	return nil, s.failed(err)
}

// try posts the form once, and looks the package up if the answer doesn't tell.
func (s *sending) try(ctx context.Context) (*Package, error) {
	pkg, err := s.post(ctx)
	if err == nil {
		return pkg, nil
	}
	local, whole := s.transfer.state()
	switch {
	case local != nil:
		return nil, s.failed(local) // the content can't be read, or changed
	case errors.Is(err, ErrChecksum), errors.Is(err, ErrUnknownOutcome):
		return nil, err // a repeat would find what is stored
	case errors.Is(err, ErrExists) && s.lost:
		return s.resolveDuplicate(ctx, err)
	case !ambiguous(err):
		return nil, s.failed(err)
	}
	s.lost = s.lost || whole
	if ctx.Err() != nil {
		return nil, s.failed(err)
	}
	s.repo.client.http.Logger.WarnContext(ctx, "packagecloud upload has no clear answer; looking it up", "file", s.content.Name, "try", s.tries, "error", err.Error())
	if s.lost {
		if found, lookupErr := s.lookUp(ctx, nil); found != nil || lookupErr != nil {
			return found, lookupErr
		}
	} else if refusal := s.probe(ctx); refusal != nil {
		return nil, refusal
	}
	if s.content.once() && s.content.used.Load() {
		return nil, s.failed(fmt.Errorf("%w: %w", ErrNotReplayable, err))
	}
	s.final = false
	return nil, err
}

// failed is the error of a sending that fails with err: the package may be there
// all the same, if an earlier try was lost.
func (s *sending) failed(err error) error {
	if s.lost {
		return s.unknown(err)
	}
	return err
}

// unknown says that the package may be there in spite of err.
func (u *upload) unknown(err error) error {
	return fmt.Errorf("%w: %s may be in %s (look for it there, or let an upload with Skip find out): %w", ErrUnknownOutcome, u.content.Name, u.repo, err)
}

// post sends the form once. Only what the server refuses before it does
// anything is repeated here and below: a question it doesn't take, a 401 with a
// new token, and a request to wait.
func (s *sending) post(ctx context.Context) (*Package, error) {
	pkg, err := s.repo.client.onePackage(ctx, s.request)
	s.transfer.end() // what is read later would be read behind the caller's back
	if err != nil {
		return nil, err
	}
	return s.believe(ctx, pkg)
}

// withUpload returns r with the form of an upload as its body.
func (r request) withUpload(form *form, transfer *transfer) request {
	r.header = http.Header{"Content-Type": {form.contentType}, "Accept": {"application/json"}}
	r.size, r.askFirst = form.size, form.size > expectFrom
	r.body = func(attempt *exchange.Attempt) (io.ReadCloser, error) { return form.open(transfer, attempt) }
	return r
}
