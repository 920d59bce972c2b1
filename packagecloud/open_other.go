//go:build !unix

package packagecloud

const openFlags = 0
