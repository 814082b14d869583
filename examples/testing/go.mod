module winddown.local/examples/testing

go 1.26
