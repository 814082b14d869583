# Every target works from a fresh clone on Debian or Ubuntu with rustup, Go and GNU make; `make demo` and `make e2e` as root
# where no container engine with a registry is in reach (they say what is missing).

.DEFAULT_GOAL := help
.PHONY: help build test core api fuzz lint deny e2e demo demo-down dist image publish announce release-check

CARGO ?= cargo

help: ## Show what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## Build the binary for this machine
	$(CARGO) build --release --locked

test: core api ## Pass the tests that need no cluster: the core, and the API tier on a real API server

core:
	$(CARGO) test --locked --package winddown
	$(CARGO) check --locked --package winddown --no-default-features --all-targets
	cd e2e/load && go test ./...
	@if command -v node > /dev/null; then cd examples/node-http && npm test --silent; else echo 'no Node.js here: the tests of examples/node-http are left out'; fi

api:
	$(CARGO) build --locked --package winddown
	$(CARGO) test --locked --package winddown-e2e --test api

fuzz: ## Fuzz the core, 30 s for each target (FUZZ_SECONDS), from the cases and the kept corpus
	fuzz/run

lint: ## rustfmt, clippy, dependencies, go vet, workflows
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --manifest-path fuzz/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target) --locked --all-targets -- --deny warnings
	cd e2e/load && test -z "$$(gofmt -l .)" && go vet ./...
	e2e/tools/cargo-deny check bans licenses sources
	"$$(e2e/tools/get actionlint)/actionlint" -shellcheck= -pyflakes=
	release/check

e2e: ## Pass the cluster tests: helm install, real pods, rollouts under load
	e2e/cluster-tests

demo: ## See it work: 10 rollouts under load without the annotations, 10 with
	e2e/demo

demo-down: ## Remove what the demo and the cluster tests set up
	e2e/cluster/down

dist: ## Build the files of a release into dist/, for this machine (ARCHES="amd64 arm64" for both)
	release/dist $(ARCHES)

image: ## Build the operator's image with nothing but a container engine (IMAGE, BUILDER_IMAGE, VENDORED=1)
	release/image $(if $(VENDORED),--vendored)

# What the release workflow does after `make dist`; see docs/release.md.
release-check:
	release/check $${TAG:+"$$TAG"}

publish:
	release/publish

announce:
	release/announce
