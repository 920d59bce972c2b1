package packagefile

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// pom holds the used elements of a Maven pom.xml. The slices show elements that
// occur twice, which Maven refuses.
type pom struct {
	XMLName      xml.Name        `xml:"project"`
	GroupID      []string        `xml:"groupId"`
	ArtifactID   []string        `xml:"artifactId"`
	Version      []string        `xml:"version"`
	ParentGroup  []string        `xml:"parent>groupId"`
	ParentVer    []string        `xml:"parent>version"`
	Dependencies []pomDependency `xml:"dependencies>dependency"`
}

type pomDependency struct {
	GroupID    string `xml:"groupId"`
	ArtifactID string `xml:"artifactId"`
	Version    string `xml:"version"`
	Scope      string `xml:"scope"`
}

// readJava reads the Maven coordinates of an archive from its pom.properties.
// An archive may hold several of these files, as a fat jar does. Then exactly
// one must have the name and version in the file's name.
func readJava(base string, r io.ReaderAt, size int64) (Info, bool) {
	if strings.HasSuffix(strings.ToLower(base), ".pom") {
		b, ok := readAll(r, size)
		if !ok {
			return Info{}, false
		}
		return pomInfo(b)
	}
	z, ok := openZip(r, size)
	if !ok {
		return Info{}, false
	}
	files, ok := mavenFiles(z)
	if !ok {
		return Info{}, false
	}
	var found []Info
	for name, b := range files {
		if path.Base(name) != "pom.properties" {
			continue
		}
		p, ok := properties(b)
		info := Info{Group: p["groupId"], Name: p["artifactId"], Version: p["version"]}
		if !ok || !info.maven() || path.Dir(name) != info.mavenFolder() {
			info = Info{} // unusable, but it may be the archive's own
		}
		found = append(found, info)
	}
	if len(found) > 1 {
		found = slices.DeleteFunc(found, func(info Info) bool {
			rest, ok := strings.CutPrefix(base, info.Name+"-"+info.Version)
			return !ok || info.Name == "" || rest != "" && rest[0] != '-' && rest != path.Ext(base)
		})
	}
	if len(found) != 1 || found[0].Name == "" {
		return Info{}, false
	}
	more, _ := pomInfo(files[found[0].mavenFolder()+"/pom.xml"])
	found[0].Dependencies = more.Dependencies
	return found[0], true
}

// mavenFiles returns the files that Maven put into an archive, by name. It
// refuses an archive in which such a name occurs twice.
func mavenFiles(z *zip.Reader) (files map[string][]byte, ok bool) {
	files = map[string][]byte{}
	unpacked := 0
	for _, f := range z.File {
		if ok, _ := path.Match("META-INF/maven/*/*/pom.*", f.Name); !ok {
			continue
		}
		b, ok := readZipFile(f)
		if unpacked += len(b); !ok || unpacked > maxMetadata || files[f.Name] != nil {
			return nil, false
		}
		files[f.Name] = b
	}
	return files, true
}

func (i Info) mavenFolder() string { return "META-INF/maven/" + i.Group + "/" + i.Name }

var (
	mavenID      = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	mavenVersion = regexp.MustCompile(`^[A-Za-z0-9_.+~-]+$`)
)

// maven reports whether Maven takes the coordinates literally. Maven would
// replace a property, such as ${revision}.
func (i Info) maven() bool {
	return mavenID.MatchString(i.Group) && mavenID.MatchString(i.Name) && mavenVersion.MatchString(i.Version) &&
		validPart(i.Group) && validPart(i.Name) && validPart(i.Version)
}

// properties reads a Java properties file in ISO 8859-1, as
// java.util.Properties does. It refuses a malformed escape, and a file longer
// than any that Maven writes.
func properties(b []byte) (p map[string]string, ok bool) {
	if len(b) > 64<<10 {
		return nil, false
	}
	p = map[string]string{}
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(latin1(b)), "\n")
	const space = " \t\f"
	for n := 0; n < len(lines); n++ {
		line := strings.TrimLeft(lines[n], space)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		var whole strings.Builder
		for ; oddBackslashes(line); line = strings.TrimLeft(lines[n], space) {
			whole.WriteString(line[:len(line)-1])
			if n++; n == len(lines) {
				line = ""
				break
			}
		}
		whole.WriteString(line)
		text := whole.String()
		end := propertyKey.FindStringIndex(text)[1]
		key, keyOK := unescape(text[:end])
		rest := strings.TrimLeft(text[end:], space)
		if rest != "" && (rest[0] == '=' || rest[0] == ':') {
			rest = strings.TrimLeft(rest[1:], space)
		}
		value, valueOK := unescape(rest)
		if !keyOK || !valueOK {
			return nil, false
		}
		p[key] = value
	}
	return p, true
}

var propertyKey = regexp.MustCompile(`^(?:\\.|[^\\=: \t\f])*`)

// unescape replaces the escapes of a properties file.
func unescape(s string) (string, bool) {
	if !strings.Contains(s, `\`) {
		return s, true
	}
	var units []uint16
	for text := []rune(s); len(text) > 0; text = text[1:] {
		c := text[0]
		if c == '\\' && len(text) > 1 {
			text = text[1:]
			c = text[0]
			switch c {
			case 't':
				c = '\t'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 'f':
				c = '\f'
			case 'u':
				n, err := strconv.ParseUint(string(text[1:min(5, len(text))]), 16, 16)
				if err != nil || len(text) < 5 {
					return "", false
				}
				c, text = rune(n), text[4:]
			}
		}
		units = append(units, uint16(c))
	}
	return string(utf16.Decode(units)), true
}

// latin1 converts ISO 8859-1 to UTF-8.
func latin1(b []byte) string {
	text := make([]rune, len(b))
	for i, c := range b {
		text[i] = rune(c)
	}
	return string(text)
}

// fromUTF16 converts UTF-16 to UTF-8. b begins with a byte order mark.
func fromUTF16(b []byte) []byte {
	big := b[0] == 0xfe
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) > 1; b = b[2:] {
		if big {
			units = append(units, uint16(b[0])<<8|uint16(b[1]))
		} else {
			units = append(units, uint16(b[1])<<8|uint16(b[0]))
		}
	}
	return []byte(string(utf16.Decode(units)))
}

// decodeXML decodes a whole document in UTF-8, UTF-16, ISO 8859-1 or US-ASCII.
func decodeXML(b []byte, v any) error {
	wide := bytes.HasPrefix(b, []byte("\xfe\xff")) || bytes.HasPrefix(b, []byte("\xff\xfe"))
	text := bytes.TrimPrefix(b, bom)
	marked := wide || len(text) != len(b)
	if wide {
		text = fromUTF16(b)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		switch name := strings.ToUpper(charset); {
		case wide && strings.HasPrefix(name, "UTF-16"):
			return r, nil
		case !marked && (name == "ISO-8859-1" || name == "US-ASCII"):
			rest, err := io.ReadAll(r)
			return strings.NewReader(latin1(rest)), err
		}
		return nil, fmt.Errorf("packagefile: the encoding %q is unsupported; use UTF-8", charset)
	}
	if err := d.Decode(v); err != nil {
		return err
	}
	return endOfXML(d)
}

// endOfXML refuses what Maven refuses behind a document: anything but comments
// and processing instructions.
func endOfXML(d *xml.Decoder) error {
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.Comment, xml.ProcInst:
		case xml.CharData:
			if len(bytes.TrimSpace(token)) > 0 {
				return errors.New("packagefile: text follows the XML document")
			}
		default:
			return errors.New("packagefile: a second XML document follows the first")
		}
	}
}

// single returns the trimmed text of an element that may occur once.
func single(all []string) (string, bool) {
	if len(all) == 0 {
		return "", true
	}
	text := strings.TrimSpace(all[0])
	return text, len(all) == 1 && text != "" && utf8.ValidString(text)
}

func pomInfo(b []byte) (Info, bool) {
	var p pom
	if decodeXML(b, &p) != nil {
		return Info{}, false
	}
	ok := true
	one := func(all []string) string {
		text, once := single(all)
		ok = ok && once
		return text
	}
	group, version, artifact := one(p.GroupID), one(p.Version), one(p.ArtifactID)
	info := Info{
		Group:   cmp.Or(group, one(p.ParentGroup)),
		Name:    artifact,
		Version: cmp.Or(version, one(p.ParentVer)),
	}
	for _, d := range p.Dependencies {
		context := cmp.Or(strings.TrimSpace(d.Scope), "compile")
		text := strings.TrimSpace(strings.TrimSpace(d.GroupID) + "." + strings.TrimSpace(d.ArtifactID) + " " + strings.TrimSpace(d.Version))
		at := -1
		for i := range info.Dependencies {
			if info.Dependencies[i].Context == context {
				at = i
			}
		}
		if at < 0 {
			at = len(info.Dependencies)
			info.Dependencies = append(info.Dependencies, Dependency{Context: context})
		}
		info.Dependencies[at].Dependencies = append(info.Dependencies[at].Dependencies, text)
	}
	return info, ok && info.maven()
}
