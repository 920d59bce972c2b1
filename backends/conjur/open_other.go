//go:build !unix

package conjur

const openFlags = 0
