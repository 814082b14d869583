// Command gitops applies a manifest as Argo CD and Flux do, and compares it with the cluster as they do, with their own
// libraries. The manifest is read from standard input, the cluster is the one in KUBECONFIG.
//
//	gitops --namespace NAMESPACE [--ignore EXPRESSION] argocd|argocd-server-side|flux apply|diff
//
// EXPRESSION is one of jqPathExpressions in ignoreDifferences of an Application of Argo CD. diff prints nothing if the tool reports no difference, and the difference otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// tool is a GitOps controller.
type tool interface {
	// apply writes the manifest to the cluster.
	apply(ctx context.Context, manifest *unstructured.Unstructured) error
	// diff describes the difference of the cluster to the manifest, empty if there is none.
	diff(ctx context.Context, manifest *unstructured.Unstructured) (string, error)
}

func main() {
	namespace := flag.String("namespace", "default", "the namespace of the manifest")
	ignore := flag.String("ignore", "", "a jq path that Argo CD ignores")
	flag.Parse()
	if err := run(context.Background(), *namespace, *ignore, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, namespace, ignore string, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: gitops --namespace NAMESPACE [--ignore EXPRESSION] argocd|argocd-server-side|flux apply|diff")
	}
	manifest, err := read(os.Stdin, namespace)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	tool, err := newTool(arguments[0], config, ignore)
	if err != nil {
		return err
	}
	switch arguments[1] {
	case "apply":
		return tool.apply(ctx, manifest)
	case "diff":
		difference, err := tool.diff(ctx, manifest)
		fmt.Print(difference)
		return err
	}
	return fmt.Errorf("unknown action %q", arguments[1])
}

func newTool(name string, config *rest.Config, ignore string) (tool, error) {
	switch name {
	case "argocd":
		return newArgoCD(config, false, ignore)
	case "argocd-server-side":
		return newArgoCD(config, true, ignore)
	case "flux":
		return newFlux(config)
	}
	return nil, fmt.Errorf("unknown tool %q", name)
}

func read(input io.Reader, namespace string) (*unstructured.Unstructured, error) {
	text, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	manifest := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &manifest.Object); err != nil {
		return nil, err
	}
	if manifest.Object == nil {
		return nil, errors.New("there is no manifest on standard input")
	}
	manifest.SetNamespace(namespace)
	return manifest, nil
}
