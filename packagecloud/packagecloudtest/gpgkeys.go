package packagecloudtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// gpgKey is a public key of a repository. The server reads only its first
// packet, the primary key, which suffices for the fingerprint.
type gpgKey struct {
	name, fingerprint string
	kind              string // "repo" or "package"
	armored           string
}

// newRepositoryKey makes the public key for a repository's metadata. It drops
// the private half, because the server has no metadata to sign.
func newRepositoryKey(repo *repository) *gpgKey {
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	body := []byte{4}
	body = binary.BigEndian.AppendUint32(body, uint32(time.Now().Unix()))
	body = append(body, 22) // EdDSA, then the curve's object identifier
	body = append(body, 9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01)
	body = binary.BigEndian.AppendUint16(body, 263) // bits: the prefix 0x40 and the point
	body = append(append(body, 0x40), public...)
	user := []byte(repo.fqname() + " (packagecloudtest)")
	packets := append([]byte{0xc0 | 6, byte(len(body))}, body...)
	packets = append(packets, 0xc0|13, byte(min(len(user), 191)))
	packets = append(packets, user[:min(len(user), 191)]...)
	return newKey(repo, "repo", body, packets)
}

func newKey(repo *repository, kind string, body, packets []byte) *gpgKey {
	h := sha1.New()
	h.Write([]byte{0x99, byte(len(body) >> 8), byte(len(body))})
	h.Write(body)
	fingerprint := strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
	return &gpgKey{
		name:        repo.owner + "-" + repo.name + "-" + fingerprint[24:] + ".pub.gpg",
		fingerprint: fingerprint,
		kind:        kind,
		armored:     armor(packets),
	}
}

// parseKey reads a version 4 public key, armored or not (RFC 9580, section 5.5).
func parseKey(repo *repository, data []byte) (*gpgKey, error) {
	if bytes.Contains(data, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")) {
		return nil, errors.New("GPG key data holds a private key; upload the public key")
	}
	if _, rest, ok := bytes.Cut(data, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")); ok {
		text := strings.ReplaceAll(string(rest), "\r", "")
		_, text, _ = strings.Cut(text, "\n\n")
		text, _, _ = strings.Cut(text, "-----END")
		if i := strings.LastIndex(text, "\n="); i >= 0 { // checksum
			text = text[:i]
		}
		decoded, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			return nil, errors.New("GPG key data is invalid")
		}
		data = decoded
	}
	tag, body, ok := firstPacket(data)
	if !ok || tag != 6 || len(body) < 6 || len(body) > 0xffff || body[0] != 4 {
		return nil, errors.New("GPG key data is invalid")
	}
	return newKey(repo, "package", body, data), nil
}

// firstPacket reads an OpenPGP packet of definite length (RFC 9580, section 4.2).
func firstPacket(data []byte) (tag byte, body []byte, ok bool) {
	if len(data) < 2 || data[0]&0x80 == 0 {
		return 0, nil, false
	}
	var length, start uint64
	if data[0]&0x40 != 0 {
		tag = data[0] & 0x3f
		switch n := data[1]; {
		case n < 192:
			length, start = uint64(n), 2
		case n < 224 && len(data) > 2:
			length, start = uint64(n-192)<<8+uint64(data[2])+192, 3
		case n == 255 && len(data) > 5:
			length, start = uint64(binary.BigEndian.Uint32(data[2:])), 6
		default:
			return 0, nil, false
		}
	} else {
		tag = data[0] >> 2 & 0x0f
		width := 1 << (data[0] & 3)
		if width == 8 || len(data) < 1+width {
			return 0, nil, false
		}
		for _, b := range data[1 : 1+width] {
			length = length<<8 | uint64(b)
		}
		start = uint64(1 + width)
	}
	if length > uint64(len(data))-start {
		return 0, nil, false
	}
	return tag, data[start : start+length], true
}

func armor(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	b.WriteString("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")
	for line := range slices.Chunk([]byte(text), 64) {
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteString("-----END PGP PUBLIC KEY BLOCK-----\n")
	return b.String()
}

func (s *Server) keyJSON(repo *repository, k *gpgKey) map[string]any {
	self := repo.apiPath() + "/gpg_keys/" + k.name + ".json"
	return map[string]any{
		"name": k.name, "fingerprint": k.fingerprint, "keytype": k.kind, "self": self, "destroy_url": self,
		"download_url": s.URL + "/" + repo.fqname() + "/gpgkey/" + k.name,
	}
}

func (s *Server) listKeys(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []any{}
	for _, k := range c.repo.keys {
		list = append(list, s.keyJSON(c.repo, k))
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"gpg_keys": list})
}

// keyIndex finds the key that the path names. The caller holds s.mu.
func (c *call) keyIndex() int {
	return slices.IndexFunc(c.repo.keys, func(k *gpgKey) bool { return k.name == c.value("name") })
}

func (s *Server) showKey(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := c.keyIndex()
	if i < 0 {
		notFound(c.w)
		return
	}
	writeJSON(c.w, http.StatusOK, s.keyJSON(c.repo, c.repo.keys[i]))
}

// deleteKey refuses to delete the repository's own key, as the service does.
func (s *Server) deleteKey(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := c.keyIndex()
	if i < 0 || c.repo.keys[i].kind == "repo" {
		notFound(c.w)
		return
	}
	c.repo.keys = slices.Delete(c.repo.keys, i, i+1)
	c.w.WriteHeader(http.StatusNoContent)
}

func (s *Server) addKey(c *call) {
	form, err := params(c.r)
	if err != nil {
		badRequest(c.w)
		return
	}
	k, err := parseKey(c.repo, []byte(form.Get("gpg_key[keydata]")))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && slices.ContainsFunc(c.repo.keys, func(o *gpgKey) bool { return o.fingerprint == k.fingerprint }) {
		err = errors.New("GPG key " + taken)
	}
	if err != nil {
		writeJSON(c.w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
		return
	}
	c.repo.keys = append(c.repo.keys, k)
	writeJSON(c.w, http.StatusCreated, s.keyJSON(c.repo, k))
}

// keyFile serves gpgkey, the repository's key, and gpgkey/{name}.
func (s *Server) keyFile(c *call) {
	name := c.value("name")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range c.repo.keys {
		if name == "" && k.kind == "repo" || name == k.name {
			c.w.Header().Set("Content-Type", "application/pgp-keys")
			_, _ = io.WriteString(c.w, k.armored)
			return
		}
	}
	notFound(c.w)
}
