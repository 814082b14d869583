# Every target works from a fresh clone on Debian or Ubuntu with rustup, Go, npm and GNU make; `make demo` and `make e2e` as root
# where there is no container engine that can pull images (they say what is missing).

.DEFAULT_GOAL := help
.PHONY: help build generate test core api test-load test-packages test-browser test-example test-node-service test-services fuzz bench lint deny e2e demo demo-down matrix dist image publish announce release-check

CARGO ?= cargo
# Only `make generate` overwrites generated files; every other target reports stale ones.
unexport UPDATE
# What `make bench` measures; a second binary: BENCH_BINARIES='--binary old=PATH --binary new=target/release/winddown'.
BENCH_BINARIES ?= --binary $(or $(CARGO_TARGET_DIR),target)/release/winddown

# Declared by a macro, so that cargo fmt does not find them.
RULES = $(wildcard crates/core/src/rules/*.rs)

help: ## Show the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## Build the binary for this machine
	$(CARGO) build --release --locked

generate: ## Write the generated files: docs, values table and schema of the chart, golden cases
	UPDATE=1 $(CARGO) test --locked --package winddown --lib --test generated --test cases

test: ## Run all tests that need no cluster: core, operator, and the API tests on a real API server
	e2e/test

core: test-load test-packages test-browser test-example test-node-service test-services
	$(CARGO) test --locked --package winddown-core
	$(CARGO) test --locked --package winddown --package winddown-operator
	$(CARGO) check --locked --package winddown --no-default-features --all-targets

# The flags are those of e2e/tools/get, so that Go's standard library is compiled only once.
test-load:
	cd e2e/load && CGO_ENABLED=0 GOFLAGS='-trimpath -gcflags=all=-dwarf=false' go test ./...

test-packages:
	packages/winddown-node/testing/run

test-browser:
	e2e/browser/testing/run

# Builds the library and runs npm scripts in its folder or in one that uses it, if npm is there: $(call with-library,folder,commands)
with-library = @if command -v npm > /dev/null; then packages/winddown-node/testing/build $(1) && \
	node=$$(e2e/tools/node) && export PATH="$$node:$$PATH" && cd $(1) && $(2); \
	else bash -c '. e2e/steps.sh; skip npm "the checks of $(1)"'; fi

test-example:
	$(call with-library,examples/node-http,npm test --silent)

test-node-service:
	examples/node-service/testing/run

test-services:
	examples/testing/run

# The operator is optimized, as in `make test`: the tests check how fast it answers under load.
api: ## Run only the API tests, on any version that the chart supports (KUBERNETES_VERSION=v1.30.14)
	$(CARGO) build --locked --profile quick --package winddown
	WINDDOWN_BIN="$$(realpath $(or $(CARGO_TARGET_DIR),target))/quick/winddown" $(CARGO) test --locked --package winddown-e2e --test api

fuzz: ## Fuzz the core, 30 s for each target (FUZZ_SECONDS), from the cases and the kept corpus
	fuzz/run

bench: build ## Measure what a review costs; the last run is explained in docs/performance.md
	$(CARGO) build --profile measure --locked --package winddown-bench
	$(or $(CARGO_TARGET_DIR),target)/measure/winddown-bench endpoint $(BENCH_BINARIES) $(BENCH_FLAGS)
	$(or $(CARGO_TARGET_DIR),target)/measure/winddown-bench creates $(BENCH_BINARIES) $(BENCH_FLAGS)

lint: ## rustfmt, clippy, dependencies, go vet, ruff, biome, types of TypeScript, workflows
	$(CARGO) fmt --all --check
	rustfmt --edition 2024 --check $(RULES)
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --locked --package winddown-e2e --test cluster --test article -- --deny warnings
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --manifest-path fuzz/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target) --locked --all-targets -- --deny warnings
	$(CARGO) fmt --manifest-path examples/axum-service/Cargo.toml --check
	$(CARGO) clippy --manifest-path examples/axum-service/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target) --locked --all-targets -- --deny warnings
	cd e2e/load && test -z "$$(gofmt -l .)" && go vet ./...
	cd e2e/matrix/app && test -z "$$(gofmt -l .)" && go vet ./...
	cd examples/go-service && test -z "$$(gofmt -l .)" && go vet ./...
	cd examples/testing && test -z "$$(gofmt -l .)" && go vet ./...
	e2e/tools/ruff check --no-cache examples/asgi-service
	e2e/tools/ruff format --no-cache --check --quiet examples/asgi-service
	cd e2e/gitops && test -z "$$(gofmt -l .)" && go vet ./...
	$(call with-library,packages/winddown-node,npm run check --silent && npm run lint --silent)
	e2e/tools/cargo-deny check bans licenses sources
	e2e/tools/cargo-deny --manifest-path examples/axum-service/Cargo.toml --config deny.toml check bans licenses sources
	e2e/tools/advisories
	"$$(e2e/tools/get actionlint)/actionlint" -shellcheck= -pyflakes=
	release/check

e2e: ## Run the cluster tests (PART=operator or PART=article: one half; ROLLOUTS=10: longer)
	e2e/cluster-tests

demo: ## Show the effect: 10 rollouts under load without the annotations, 10 with
	e2e/demo

demo-down: ## Remove what the demo and the cluster tests set up
	e2e/cluster/down

matrix: ## Measure each form of the shutdown, and write docs/matrix.md (ONLY=iptables/both, ROLLOUTS=10)
	e2e/matrix/run $(if $(ONLY),--only $(ONLY)) $(if $(ROLLOUTS),--rollouts $(ROLLOUTS))

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
