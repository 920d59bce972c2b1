// Package sourcekit has what authors of token sources need again and again. A
// [tokensource.TokenSource] that asks a store must log in once for a thousand
// callers, wait longer after each failure, read a field of a JSON secret, read
// the file with its own credential, and say in plain words why a connection
// failed. The backends of this library are written with it, and yours can be.
//
// # Errors
//
// Nothing here repeats a secret, the content of a file or what a server sent.
// [Field], [ReadFile] and [Flight] return a *[tokensource.Error] with a kind and
// without a source. A source passes it on under its own name:
//
//	if e, ok := errors.AsType[*tokensource.Error](err); ok {
//		return tokensource.NewError("mystore:"+name, e.Kind, e.Message, e)
//	}
//
// # Tests
//
// Package tokensourcetest has the tests that every source should pass.
package sourcekit
