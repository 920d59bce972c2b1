package packagecloudtest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/packagecloud-go/sdk/internal/packagefile"
)

// form is an upload that the server has received.
type form struct {
	fields  map[string]string
	main    *sourceFile
	sources []*sourceFile
}

func (f *form) discard() {
	if f.main != nil {
		f.main.blob.remove()
	}
	for _, file := range f.sources {
		file.blob.remove()
	}
}

const maxSourceFiles = 1000

// receive reads a multipart upload and writes its files to the spool.
func (s *Server) receive(r *http.Request) (*form, error) {
	f := &form{fields: map[string]string{}}
	mediaType, options, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType != "multipart/form-data" {
		p, err := params(r)
		for key, values := range p {
			f.fields[key] = values[0]
		}
		return f, err
	}
	reader := multipartReader(r.Body, options)
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return f, nil
		}
		if err == nil {
			err = s.receivePart(f, part)
		}
		if err != nil {
			f.discard()
			return nil, err
		}
	}
}

func (s *Server) receivePart(f *form, part *multipart.Part) error {
	name := part.FormName()
	switch name {
	case "package[package_file]", "package[source_files][]":
		b, err := s.spool.store(part)
		if err != nil {
			return err
		}
		file := &sourceFile{part.FileName(), b}
		if name == "package[package_file]" && f.main == nil {
			f.main = file
			return nil
		}
		f.sources = append(f.sources, file)
		if len(f.sources) > maxSourceFiles {
			return fmt.Errorf("more than %d files", maxSourceFiles)
		}
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(part, maxForm))
	if err == nil && len(f.fields) < 100 {
		f.fields[name] = string(b)
	}
	return err
}

// upload serves POST packages.json.
func (s *Server) upload(c *call) {
	s.mu.Lock()
	plan := s.plan
	s.mu.Unlock()
	if plan.PaymentRequired {
		paymentRequired(c.w)
		return
	}
	f, err := s.receive(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	p, refusal := s.inspect(c.repo, f)
	if refusal == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if refusal = s.add(p); refusal == nil {
			writeJSON(c.w, http.StatusCreated, s.details(p))
			return
		}
	}
	f.discard()
	refusal.write(c.w)
}

// AddPackage stores a package in a repository ("name" or "user/name") without
// HTTP. The distribution is spelled "ubuntu/jammy", "ubuntu/22.04", "python",
// "node", "java", "anyfile", "helm" or, for a gem, "".
//
// Name a Java package "group/artifact-version.jar" if its content doesn't tell
// its group. AddPackage can't store a dsc with source files; upload it instead.
func (s *Server) AddPackage(repo, distribution, filename string, content []byte) error {
	s.mu.Lock()
	r := s.repositoryNamed(repo)
	s.mu.Unlock()
	if r == nil {
		return fmt.Errorf("packagecloudtest: no repository %q; create it first", repo)
	}
	f := &form{fields: map[string]string{}}
	if distribution != "" {
		place, ok := s.distroByName(distribution, []string{"deb", "rpm", "py", "jar", "node", "alpine", "anyfile", "helm"})
		if !ok {
			return fmt.Errorf("packagecloudtest: no distribution, or more than one, has the name %q; use a name such as ubuntu/jammy or python", distribution)
		}
		f.fields["package[distro_version_id]"] = strconv.Itoa(place.id)
	}
	if group, base, ok := strings.Cut(filename, "/"); ok {
		filename = base
		stem := base[:len(base)-len(extension(base))]
		if i := strings.LastIndexByte(stem, '-'); i > 0 {
			f.fields["package[coordinates]"] = group + ":" + stem[:i] + ":" + stem[i+1:]
		}
	}
	b, err := s.spool.store(bytes.NewReader(content))
	if err != nil {
		return err
	}
	f.main = &sourceFile{filename, b}
	p, refusal := s.inspect(r, f)
	if refusal == nil {
		s.mu.Lock()
		refusal = s.add(p)
		s.mu.Unlock()
	}
	if refusal != nil {
		f.discard()
		return fmt.Errorf("packagecloudtest: %s refused: %v", filename, refusal)
	}
	return nil
}

// inspect makes a package of an upload, or returns the refusal.
func (s *Server) inspect(repo *repository, f *form) (*storedPackage, invalid) {
	if f.main == nil {
		return nil, invalid{"package_file": {blank}}
	}
	file, err := f.main.blob.open()
	if err != nil {
		return nil, invalid{"package_file": {"could not be read"}}
	}
	defer file.Close()
	p := &storedPackage{repo: repo, filename: f.main.name, blob: f.main.blob, createdAt: now(), uploader: s.opts.Owner}

	typ, place, refusal := s.typeAndPlace(f.main.name, f.fields["package[distro_version_id]"], file)
	if refusal != nil {
		return nil, refusal
	}
	p.place = place
	p.Info, err = packagefile.Decompressors(s.opts.Decompressors).Read(f.main.name, typ, file, f.main.blob.size)
	coordinates := f.fields["package[coordinates]"]
	if err != nil && (typ != packagefile.Java || coordinates == "") {
		return nil, invalid{"package_file": {"could not be read: it is not a valid " + typ + " package"}}
	}
	p.Type = typ
	if s.opts.Strict && !p.FromContent && typ != packagefile.Anyfile && coordinates == "" {
		return nil, invalid{"package_file": {"is not a valid " + typ + " package"}}
	}
	switch typ {
	case packagefile.Java:
		if refusal := p.applyCoordinates(coordinates); refusal != nil {
			return nil, refusal
		}
	case packagefile.DSC:
		if refusal := p.attachSources(f.sources); refusal != nil {
			return nil, refusal
		}
	default:
		if name := p.Info.FileName(); name != "" {
			p.filename = name
		}
	}
	if p.filename == "" || strings.ContainsAny(p.filename, "/\\") {
		return nil, invalid{"filename": {"is invalid"}}
	}
	return p, nil
}

// typeAndPlace derives a package's type from the distribution of the upload.
// The file decides only between deb and dsc. The file must fit the
// distribution.
func (s *Server) typeAndPlace(name, id string, file *os.File) (string, distroVersion, invalid) {
	kind := kindOf(name, file)
	if id == "" {
		if kind == packagefile.Gem {
			return kind, distroVersion{}, nil
		}
		return "", distroVersion{}, invalid{"distro_version_id": {blank}}
	}
	n, err := strconv.Atoi(strings.TrimSpace(id))
	place, ok := s.distroByID[n]
	if err != nil || !ok {
		return "", distroVersion{}, invalid{"distro_version_id": {"is invalid"}}
	}
	var typ string
	for _, group := range place.groups {
		t := groupType[group]
		switch {
		case t == packagefile.Anyfile, kind == t, kind == "", kind == "zip" && (t == packagefile.Java || t == packagefile.Python),
			kind == "gzip" && (t == packagefile.Node || t == packagefile.Helm || t == packagefile.Python || t == packagefile.Alpine):
			if typ == "" || kind == t || t == packagefile.Deb {
				typ = t
			}
		}
	}
	if typ == "" {
		return "", distroVersion{}, wrongDistro()
	}
	return typ, place, nil
}

// groupType holds the type of each group in the distributions list.
var groupType = map[string]string{
	"deb": packagefile.Deb, "dsc": packagefile.DSC, "rpm": packagefile.RPM, "py": packagefile.Python, "jar": packagefile.Java,
	"node": packagefile.Node, "alpine": packagefile.Alpine, "anyfile": packagefile.Anyfile, "helm": packagefile.Helm,
}

// kindOf derives a file's kind from its extension. Some clients send random
// names; then the first bytes decide. The kinds "zip" and "gzip" can be one of
// several types, and "" can be any type.
func kindOf(name string, file io.ReaderAt) string {
	switch extension(strings.ToLower(name)) {
	case ".deb", ".udeb", ".ddeb":
		return packagefile.Deb
	case ".dsc":
		return packagefile.DSC
	case ".rpm":
		return packagefile.RPM
	case ".gem":
		return packagefile.Gem
	case ".whl", ".egg", ".egg-info":
		return packagefile.Python
	case ".jar", ".war", ".aar", ".ear", ".pom":
		return packagefile.Java
	case ".tgz", ".tar.gz":
		return "gzip"
	case ".zip":
		return "zip"
	case ".tar", ".tar.bz2", ".tar.z":
		return packagefile.Python
	}
	magic := make([]byte, 512)
	n, _ := file.ReadAt(magic, 0)
	switch text := string(magic[:n]); {
	case strings.HasPrefix(text, "!<arch>\ndebian-binary"):
		return packagefile.Deb
	case strings.HasPrefix(text, "\xed\xab\xee\xdb"):
		return packagefile.RPM
	case strings.HasPrefix(text, "-----BEGIN PGP SIGNED MESSAGE-----"), strings.HasPrefix(text, "Format: "):
		return packagefile.DSC
	case strings.HasPrefix(text, "PK\x03\x04"):
		return "zip"
	case strings.HasPrefix(text, "\x1f\x8b"):
		return "gzip"
	case strings.HasPrefix(text, "metadata.gz\x00"), strings.HasPrefix(text, "data.tar.gz\x00"):
		return packagefile.Gem
	}
	return ""
}

// extension returns a file's extension. That of a compressed tar archive
// includes ".tar".
func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return ""
	}
	if strings.HasSuffix(name[:i], ".tar") {
		i -= len(".tar")
	}
	return name[i:]
}

// applyCoordinates sets the name of a Java package from
// "group:artifact:version", if given.
func (p *storedPackage) applyCoordinates(coordinates string) invalid {
	if coordinates != "" {
		part := strings.Split(coordinates, ":")
		if len(part) < 3 || slices.Contains(part, "") || strings.ContainsAny(coordinates, "/\\") {
			return invalid{"coordinates": {"must be of the form group:artifact:version"}}
		}
		p.Group, p.Name, p.Version = part[0], part[1], part[len(part)-1]
	}
	if p.Group == "" {
		return invalid{"coordinates": {"could not be computed from the package; send group:artifact:version"}}
	}
	if canonical := p.Name + "-" + p.Version; !strings.HasPrefix(p.filename, canonical) {
		ext := extension(p.filename)
		if !slices.Contains([]string{".jar", ".war", ".aar", ".ear", ".pom", ".apk"}, ext) {
			ext = ".jar"
		}
		p.filename = canonical + ext
	}
	return nil
}

// attachSources finds the files that a .dsc lists. It searches by name and
// then, for clients that send random names, by checksum.
func (p *storedPackage) attachSources(files []*sourceFile) invalid {
	if name := p.Info.FileName(); name != "" {
		p.filename = name
	}
	for _, want := range p.SourceFiles {
		i := slices.IndexFunc(files, func(f *sourceFile) bool { return f.name == want.Name })
		if i < 0 {
			i = slices.IndexFunc(files, func(f *sourceFile) bool { return strings.EqualFold(f.blob.md5, want.MD5) })
		}
		if i < 0 {
			return invalid{"source_files": {want.Name + " is missing"}}
		}
		if f := files[i]; f.blob.size != want.Size || !strings.EqualFold(f.blob.md5, want.MD5) {
			return invalid{"source_files": {want.Name + " does not match its size and checksum in the .dsc"}}
		}
		p.sources = append(p.sources, &sourceFile{want.Name, files[i].blob})
	}
	return nil
}

// showContents serves POST packages/contents.json, which returns the files that
// a .dsc lists.
func (s *Server) showContents(c *call) {
	f, err := s.receive(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	defer f.discard()
	if f.main == nil {
		invalid{"package_file": {blank}}.write(c.w)
		return
	}
	file, err := f.main.blob.open()
	if err != nil {
		serverError(c.w)
		return
	}
	defer file.Close()
	if kind := kindOf(f.main.name, file); kind != packagefile.DSC && kind != "" {
		wrongDistro().write(c.w)
		return
	}
	id, err := strconv.Atoi(f.fields["package[distro_version_id]"])
	if place := s.distroByID[id]; err != nil || !slices.Contains(place.groups, "dsc") {
		wrongDistro().write(c.w)
		return
	}
	info, err := packagefile.Read(f.main.name, packagefile.DSC, file, f.main.blob.size)
	if err != nil || !info.FromContent {
		invalid{"package_file": {"is not a valid dsc"}}.write(c.w)
		return
	}
	files := []any{}
	for _, want := range info.SourceFiles {
		files = append(files, map[string]any{"filename": want.Name, "size": want.Size, "md5sum": want.MD5})
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"files": files})
}
