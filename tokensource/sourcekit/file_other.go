//go:build !unix

package sourcekit

const openFlags = 0
