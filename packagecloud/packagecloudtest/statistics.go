package packagecloudtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// install is one installation of a repository, for the statistics.
type install struct {
	at                  time.Time
	ip, hostname, agent string
	master              *masterToken
	distro, version     string
}

// event is one download or installation in a statistic.
type event struct {
	at   time.Time
	show map[string]any
}

// period parses start_date and end_date. The default is the last seven days.
func period(c *call) (from, to time.Time, refusal invalid) {
	query := c.r.URL.Query()
	day := func(name string, fallback time.Time) time.Time {
		text := query.Get(name)
		if text == "" {
			return fallback
		}
		for _, layout := range []string{"20060102Z", "2006-01-02", "20060102"} {
			if t, err := time.Parse(layout, text); err == nil {
				return t
			}
		}
		refusal = invalid{name: {"is invalid"}}
		return fallback
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	from = day("start_date", today.AddDate(0, 0, -7))
	to = day("end_date", today).AddDate(0, 0, 1) // the period includes the end date
	return from, to, refusal
}

// statistic writes the count, the details, or the series for an interval.
func (s *Server) statistic(c *call, what string, events []event) {
	switch what {
	case "count":
		writeJSON(c.w, http.StatusOK, map[string]int{"value": len(events)})
	case "detail":
		s.page(c, len(events), func(i int) any { return events[i].show })
	default:
		series := map[string]int{}
		for _, e := range events {
			day := e.at
			if what == "weekly" {
				day = day.AddDate(0, 0, -(int(day.Weekday())+6)%7) // the Monday of that week
			}
			series[day.Format("20060102Z")]++
		}
		writeJSON(c.w, http.StatusOK, map[string]any{"value": series})
	}
}

// namesToken reports whether a filter matches a token by name or id. An empty
// filter matches every token.
func namesToken(filter, name string, id int) bool {
	return filter == "" || filter == name || filter == strconv.Itoa(id)
}

// downloadStatistics serves {package}/stats/downloads/...
func (s *Server) downloadStatistics(c *call) {
	what, path := c.below[len(c.below)-1], c.below[1:len(c.below)-3]
	if what != "count" && what != "detail" {
		path = path[:len(path)-1] // also drop "series", which precedes the interval
	}
	from, to, refusal := period(c)
	query := c.r.URL.Query()
	if source := query.Get("source"); source != "" && source != "web" && source != "cli" {
		refusal = invalid{"source": {`must be "web" or "cli"`}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find(c.repo, path)
	switch {
	case p == nil || p.downloadsHidden() || (what == "detail" && c.repo.owner != s.opts.Owner):
		notFound(c.w)
		return
	case refusal != nil:
		refusal.write(c.w)
		return
	}
	var events []event
	for _, d := range p.downloads {
		var read, master *string
		readID, masterID := 0, 0
		if d.read != nil {
			read, readID = &d.read.name, d.read.id
		}
		if d.master != nil {
			master, masterID = &d.master.name, d.master.id
		}
		switch {
		case d.at.Before(from) || !d.at.Before(to):
		case query.Get("user_agent") != "" && query.Get("user_agent") != d.agent:
		case query.Get("source") != "" && query.Get("source") != d.source:
		case !namesToken(query.Get("read_token"), text(read), readID):
		case !namesToken(query.Get("master_token"), text(master), masterID):
		default:
			events = append(events, event{d.at, map[string]any{
				"downloaded_at": timestamp(d.at), "ip_address": d.ip, "user_agent": d.agent, "source": d.source, "read_token": read,
			}})
		}
	}
	s.statistic(c, what, events)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// downloadsHidden reports whether the package's type has no download
// statistics.
func (p *storedPackage) downloadsHidden() bool { return p.Group != "" }

// installStatistics serves stats/installs[/{distro}[/{version}]]/...
func (s *Server) installStatistics(c *call) {
	distro, version := c.value("distribution"), c.value("version")
	what := c.below[len(c.below)-1]
	if what == "detail" && c.repo.owner != s.opts.Owner {
		notFound(c.w)
		return
	}
	from, to, refusal := period(c)
	if refusal != nil {
		refusal.write(c.w)
		return
	}
	query := c.r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []event
	for _, in := range c.repo.installs {
		name, id := "", 0
		var master any
		if in.master != nil {
			name, id = in.master.name, in.master.id
			master = name
		}
		switch {
		case in.at.Before(from) || !in.at.Before(to):
		case distro != "" && distro != in.distro, version != "" && version != in.version:
		case query.Get("user_agent") != "" && query.Get("user_agent") != in.agent:
		case !namesToken(query.Get("master_token"), name, id):
		default:
			events = append(events, event{in.at, map[string]any{
				"installed_at": timestamp(in.at), "ip_address": in.ip, "hostname": in.hostname, "user_agent": in.agent,
				"master_token": master, "distro_version": fmt.Sprintf("%s/%s", in.distro, in.version),
			}})
		}
	}
	s.statistic(c, what, events)
}
