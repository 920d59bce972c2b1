//go:build !unix

package vault

const openFlags = 0
