package tokensourcetest

// Patience lets tests shorten the wait for a source.
var Patience = &patience
