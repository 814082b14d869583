module winddown.local/examples/go-service

go 1.26
