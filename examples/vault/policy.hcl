# The Vault policy of a program that reads the token at secret/packagecloud, in a
# key/value store of version 2 that is mounted at secret/:
#
#   vault policy write packagecloud policy.hcl
#   vault kv put -mount=secret packagecloud api_key=@token
#
# In a version 1 store the path has no data/ in it. To ask which version it is (sys/internal/ui/mounts)
# takes no line of its own: Vault answers to whoever may read anything in the store.

path "secret/data/packagecloud" {
  capabilities = ["read"]
}

# Vault's default policy, which tokens have unless it was taken from them, permits
# the rest: to ask how long the token lives and whether it still counts, and to renew
# it. A token without that policy needs both to outlive its first term.

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
