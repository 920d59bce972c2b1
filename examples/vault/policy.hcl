# The Vault policy of a program that reads the token at secret/packagecloud, in a
# key/value store of version 2 that is mounted at secret/:
#
#   vault policy write packagecloud policy.hcl
#
# In a version 1 store the path has no data/ in it.

path "secret/data/packagecloud" {
  capabilities = ["read"]
}

# Vault's default policy, which tokens have unless it was taken from them, permits
# the rest: to ask whether the token still counts, and to renew it.

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
