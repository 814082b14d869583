package main

import (
	"encoding/json"
	"fmt"

	"github.com/itchyny/gojq"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ignored removes fields before a comparison, as Argo CD does for jqPathExpressions (util/argo/normalizers/diff_normalizer.go).
type ignored struct {
	deletion *gojq.Code
}

func newIgnored(expression string) (*ignored, error) {
	query, err := gojq.Parse(fmt.Sprintf("del(%s)", expression))
	if err != nil {
		return nil, err
	}
	deletion, err := gojq.Compile(query)
	return &ignored{deletion: deletion}, err
}

func (i *ignored) Normalize(object *unstructured.Unstructured) error {
	if object == nil {
		return nil
	}
	// gojq does not know all number types of the API machinery.
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	plain := map[string]any{}
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	result, ok := i.deletion.Run(plain).Next()
	if !ok {
		return fmt.Errorf("the expression has no result")
	}
	if err, failed := result.(error); failed {
		return err
	}
	text, err = json.Marshal(result)
	if err != nil {
		return err
	}
	return object.UnmarshalJSON(text)
}
