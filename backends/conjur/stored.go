package conjur

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bgentry/go-netrc/netrc"
	"github.com/cyberark/conjur-api-go/conjurapi/storage"

	"github.com/packagecloud-go/sdk/tokensource"
)

// stored returns the credentials that "conjur login" keeps, in the keyring of the
// system or in .netrc. It asks at every login, and writes nothing.
func (s settings) stored() (login, key string, err error) {
	switch s.Storage {
	case "":
		// The tools use a keyring where there is one.
		if storage.IsKeyringAvailable() {
			return s.fromKeyring()
		}
		return s.fromNetRC()
	case "keyring":
		return s.fromKeyring()
	case "file":
		return s.fromNetRC()
	case "none":
		return "", "", notLoggedIn("the setting credential_storage is none")
	}
	return "", "", fail(tokensource.ErrInvalid, "the setting credential_storage must be keyring, file or none", nil)
}

func notLoggedIn(why string) error {
	return noCredentials(why + "; set CONJUR_AUTHN_LOGIN and CONJUR_AUTHN_API_KEY, another of the CONJUR_AUTHN_ settings, or Options.Auth, or use conjur login")
}

func (s settings) fromKeyring() (login, key string, err error) {
	name := s.machine()
	if s.KeychainNamespace != "" {
		name += ":" + s.KeychainNamespace
	}
	login, key, err = storage.NewKeyringStorageProvider(name).ReadCredentials()
	switch {
	case err != nil:
		return "", "", fail(tokensource.ErrUnavailable, "the keyring of this system can't be read", err)
	case login == "" || key == "":
		return "", "", notLoggedIn("the keyring has none for this server")
	}
	return login, key, nil
}

func (s settings) fromNetRC() (login, key string, err error) {
	data, flaw := readRegular(s.NetRC)
	switch {
	case s.NetRC == "" || flaw != nil && errors.Is(flaw, fs.ErrNotExist):
		return "", "", notLoggedIn("there is no .netrc")
	case flaw != nil:
		return "", "", fail(tokensource.ErrInvalid, "the .netrc can't be read: "+flaw.Message, flaw)
	}
	parsed, err := netrc.Parse(bytes.NewReader(data))
	if err != nil {
		return "", "", fail(tokensource.ErrInvalid, fmt.Sprintf("the credentials in %q are not in the format of .netrc", s.NetRC), err)
	}
	machine := parsed.FindMachine(s.machine())
	if machine == nil || machine.IsDefault() || machine.Login == "" || machine.Password == "" || strings.HasPrefix(machine.Login, "[") {
		return "", "", notLoggedIn(fmt.Sprintf("%q has none for this server", s.NetRC))
	}
	return machine.Login, machine.Password, nil
}
