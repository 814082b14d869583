package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// connections selects how requests use connections.
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
		return fmt.Errorf(`%q is not "new" or "kept"`, text)
	}
}

// idleTimeout is shorter than that of the server (75 s), so that the client closes an idle connection first. Otherwise a
// request may race with the server's close at any time, not only during a shutdown.
const idleTimeout = 30 * time.Second

// transport always connects to address, over HTTP/1.1 and without a proxy.
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

// resolve looks up the target once. The ClusterIP of a Service does not change during a rollout, and without further
// lookups the measurement does not include the cluster's DNS. Headless Services are not supported.
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
