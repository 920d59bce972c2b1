module github.com/packagecloud-go/sdk/internal/benchmarks

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2 v1.47.7
	github.com/packagecloud-go/sdk v0.1.0
)

require (
	github.com/aws/smithy-go v1.28.8 // indirect
	golang.org/x/oauth2 v0.37.0
)

replace github.com/packagecloud-go/sdk => ../..
