package packagecloud

import (
	"errors"
	"os"
)

// syncEvery is how many bytes are written before the system is told to put them
// on the disk.
const syncEvery = 8 << 20

// syncing writes to a file that is on the disk in the end, and has the system
// begin with that while more is coming: all at once would take a quarter of the
// time of a fast download.
type syncing struct {
	file    *os.File
	written int64      // since the last sync began
	behind  chan error // of the sync behind the writer; nil if there is none
	err     error      // of earlier ones, since the system tells of a failure once
}

// Write writes to the file.
func (s *syncing) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if s.written += int64(n); s.written >= syncEvery {
		select {
		case failure := <-s.behind:
			s.err, s.behind = errors.Join(s.err, failure), nil
		default: // there is none, or it has enough to do
		}
		if s.behind == nil {
			s.written, s.behind = 0, make(chan error, 1)
			go func(done chan<- error) { done <- s.file.Sync() }(s.behind)
		}
	}
	return n, errors.Join(err, s.err)
}

// wait waits for the sync behind the writer; the file may be closed then. It
// returns what a sync failed with.
func (s *syncing) wait() error {
	if s.behind != nil {
		s.err, s.behind = errors.Join(s.err, <-s.behind), nil
	}
	return s.err
}
