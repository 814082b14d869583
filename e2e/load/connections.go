package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// connections says whether requests share connections.
type connections string

const (
	newConnections  connections = "new"
	keptConnections connections = "kept"
)

func (c connections) MarshalText() ([]byte, error) { return []byte(c), nil }

func (c *connections) UnmarshalText(text []byte) error {
	switch value := connections(text); value {
	case newConnections, keptConnections:
		*c = value
		return nil
	default:
		return fmt.Errorf("%q is neither new nor kept", text)
	}
}

// idleTimeout is shorter than the server's (75 s), so that the client lets go of an idle connection first; the other
// way round a request crosses with the server's close now and then, shutdown or not.
const idleTimeout = 30 * time.Second

// transport connects to address whatever the URL says, over HTTP/1.1 and without a proxy.
func (c connections) transport(address string) *http.Transport {
	var dialer net.Dialer
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn}, nil
		},
		DisableKeepAlives:   c == newConnections,
		MaxIdleConnsPerHost: 10_000,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
		Protocols:           protocols,
	}
}

// resolve looks the target up once: a Service keeps its ClusterIP through a roll-out, so that what is measured is the
// way from there to the pods and not the cluster's DNS. A headless Service, whose name is its pods, is not for this.
func resolve(ctx context.Context, target *url.URL) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", target.Hostname())
	if err != nil {
		return "", err
	}
	port := target.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(addresses[0].Unmap().String(), port), nil
}
