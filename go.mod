module github.com/packagecloud-go/sdk

go 1.26
