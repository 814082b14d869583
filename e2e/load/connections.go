package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// connections selects the protocol and how requests use connections.
type connections string

const (
	newConnections  connections = "new"       // HTTP/1.1, one connection for each request
	keptConnections connections = "kept"      // HTTP/1.1, connections are reused
	http2           connections = "http2"     // without TLS, with prior knowledge
	grpcCalls       connections = "grpc"      // unary calls
	webSocket       connections = "websocket" // messages that are echoed
)

// poolSize is the number of connections of the protocols that send many requests over one connection. With one
// connection, only one pod would receive requests.
const poolSize = 10

func (c connections) MarshalText() ([]byte, error) { return []byte(c), nil }

func (c *connections) UnmarshalText(text []byte) error {
	switch value := connections(text); value {
	case newConnections, keptConnections, http2, grpcCalls, webSocket:
		*c = value
		return nil
	default:
		return fmt.Errorf(`%q is not "new", "kept", "http2", "grpc" or "websocket"`, text)
	}
}

// idleTimeout is shorter than that of the server (75 s), so that the client closes an idle connection first. Otherwise a
// request may race with the server's close at any time, not only during a shutdown.
const idleTimeout = 30 * time.Second

// transport always connects to address, without a proxy.
func (c connections) transport(address string) *http.Transport {
	var dialer net.Dialer
	protocols := new(http.Protocols)
	protocols.SetHTTP1(c != http2)
	protocols.SetUnencryptedHTTP2(c == http2)
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
