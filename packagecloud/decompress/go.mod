module github.com/packagecloud-go/sdk/packagecloud/decompress

go 1.26

require (
	github.com/klauspost/compress v1.20.4
	github.com/ulikunitz/xz v0.5.17
)

require github.com/packagecloud-go/sdk v0.1.0

replace github.com/packagecloud-go/sdk => ../..
