package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAResponseAfterEarlyHintsTellsToClose(t *testing.T) {
	got := get(t, func(w http.ResponseWriter, s *shutdown) {
		w.WriteHeader(http.StatusEarlyHints)
		s.begun.Store(true)
		_, _ = io.WriteString(w, "done")
	})
	if got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("status %d, Connection: close %t", got.StatusCode, got.Close)
	}
}

func TestAHandlerCanTakeTheConnection(t *testing.T) {
	got := get(t, func(w http.ResponseWriter, _ *shutdown) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		_ = conn.Close()
	})
	if got.StatusCode != http.StatusNoContent {
		t.Errorf("status %d", got.StatusCode)
	}
}

func get(t *testing.T, handle func(http.ResponseWriter, *shutdown)) *http.Response {
	t.Helper()
	var s shutdown
	handler := func(w http.ResponseWriter, _ *http.Request) { handle(w, &s) }
	server := httptest.NewServer(s.tellToClose(http.HandlerFunc(handler)))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}
