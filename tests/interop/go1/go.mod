module driver

go 1.21

require github.com/nacos-group/nacos-sdk-go v1.1.6
