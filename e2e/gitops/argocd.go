package main

import (
	"context"
	"fmt"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// argoManager is the field manager of Argo CD's application controller.
const argoManager = "argocd-controller"

// argoCD applies like a sync, and compares like a refresh.
type argoCD struct {
	config     *rest.Config
	kubectl    *kube.KubectlCmd
	serverSide bool
	normalizer diff.Normalizer
}

func newArgoCD(config *rest.Config, serverSide bool, ignore string) (tool, error) {
	normalizer := diff.GetNoopNormalizer()
	if ignore != "" {
		ignored, err := newIgnored(ignore)
		if err != nil {
			return nil, err
		}
		normalizer = ignored
	}
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	return &argoCD{config: config, kubectl: kubectl, serverSide: serverSide, normalizer: normalizer}, nil
}

func (a *argoCD) apply(ctx context.Context, manifest *unstructured.Unstructured) error {
	operations, cleanup, err := a.kubectl.ManageResources(a.config)
	if err != nil {
		return err
	}
	defer cleanup()
	_, err = operations.ApplyResource(ctx, manifest, cmdutil.DryRunNone, false, true, a.serverSide, argoManager)
	return err
}

func (a *argoCD) diff(ctx context.Context, manifest *unstructured.Unstructured) (string, error) {
	gvk := manifest.GroupVersionKind()
	live, err := a.kubectl.GetResource(ctx, a.config, gvk, manifest.GetName(), manifest.GetNamespace())
	if apierrors.IsNotFound(err) {
		return "the object does not exist", nil
	} else if err != nil {
		return "", err
	}
	if !a.serverSide {
		return compared("three-way diff", manifest, live, diff.WithNormalizer(a.normalizer))
	}
	_, parser, err := a.kubectl.LoadOpenAPISchema(a.config)
	if err != nil {
		return "", err
	}
	dryRuns, cleanup, err := a.kubectl.ManageServerSideDiffDryRuns(a.config)
	if err != nil {
		return "", err
	}
	defer cleanup()
	merge := []diff.Option{diff.WithStructuredMergeDiff(true), diff.WithGVKParser(parser), diff.WithManager(argoManager)}
	dryRun := []diff.Option{
		diff.WithServerSideDiff(true),
		diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(dryRuns)),
		diff.WithIgnoreMutationWebhook(true),
		diff.WithGVKParser(parser),
		diff.WithManager(argoManager),
	}
	// Argo CD's default for server-side apply, then ServerSideDiff=true, and that with IncludeMutationWebhook=true.
	for _, method := range []struct {
		name    string
		options []diff.Option
	}{
		{"structured merge diff", merge},
		{"server-side diff", dryRun},
		{"server-side diff with mutations", append(dryRun, diff.WithIgnoreMutationWebhook(false))},
	} {
		difference, err := compared(method.name, manifest, live, append(method.options, diff.WithNormalizer(a.normalizer))...)
		if difference != "" || err != nil {
			return difference, err
		}
	}
	return "", nil
}

func compared(method string, manifest, live *unstructured.Unstructured, options ...diff.Option) (string, error) {
	options = append(options, diff.WithLogr(logr.Discard()))
	result, err := diff.Diff(manifest.DeepCopy(), live.DeepCopy(), options...)
	if err != nil || !result.Modified {
		return "", err
	}
	return fmt.Sprintf("%s:\nlive:      %s\npredicted: %s\n", method, result.NormalizedLive, result.PredictedLive), nil
}
