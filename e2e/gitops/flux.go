package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// flux applies and compares like the kustomize-controller.
type flux struct {
	manager *ssa.ResourceManager
}

func newFlux(config *rest.Config) (tool, error) {
	kubernetes, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	return &flux{manager: ssa.NewResourceManager(kubernetes, nil, owner)}, nil
}

func (f *flux) apply(ctx context.Context, manifest *unstructured.Unstructured) error {
	if err := f.prepare(manifest); err != nil {
		return err
	}
	_, err := f.manager.Apply(ctx, manifest, ssa.DefaultApplyOptions())
	return err
}

func (f *flux) diff(ctx context.Context, manifest *unstructured.Unstructured) (string, error) {
	if err := f.prepare(manifest); err != nil {
		return "", err
	}
	entry, live, merged, err := f.manager.Diff(ctx, manifest, ssa.DefaultDiffOptions())
	if err != nil || entry.Action == ssa.UnchangedAction {
		return "", err
	}
	difference, err := json.Marshal([]*unstructured.Unstructured{live, merged})
	return fmt.Sprintf("%s:\n%s\n", entry.Action, difference), err
}

func (f *flux) prepare(manifest *unstructured.Unstructured) error {
	objects := []*unstructured.Unstructured{manifest}
	f.manager.SetOwnerLabels(objects, "shop", manifest.GetNamespace())
	return normalize.UnstructuredList(objects)
}
