package tokensourcetest

// Patience is how long a source may take.
var Patience = &patience
