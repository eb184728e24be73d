# `make` explains what there is to make.

GO      ?= go
SHELL   := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

# Modules are the directories of the go.mod files: the library, and those that
# keep what it must not depend on.
MODULES = $(patsubst %/,%,$(dir $(shell git ls-files -co --exclude-standard -- go.mod '*/go.mod')))
TOOL    = $(GO) tool -modfile=tools/go.mod
# What go generate and mockery write.
GENERATED = mocks/gomocks mocks/testifymocks

.PHONY: help
help: ## explain these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the command as bin/dirlock
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/dirlock ./cmd/dirlock

.PHONY: test
test: ## run all tests, the exhaustive search among them (2 minutes)
	$(GO) test ./...

.PHONY: race
race: ## run the short tests with the race detector
	$(GO) test -race -short ./...

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (20s)
	for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg
		done
	done

COVER_MIN ?= 90
.PHONY: cover
cover: ## fail if the tests cover less than 90 % of lock, fsys or proc
	$(GO) test -short -coverpkg=./lock,./fsys,./proc -coverprofile=cover.out \
		./lock/... ./fsys/... ./proc/... ./internal/...
	awk -v min=$(COVER_MIN) -f .ci/cover.awk cover.out

.PHONY: lint
lint: ## gofmt, go vet and staticcheck; golangci-lint if it is installed
	out=$$(gofmt -l $$(git ls-files -co --exclude-standard -- '*.go'))
	if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	for goos in linux darwin windows; do
		echo "staticcheck on $$goos"
		GOOS=$$goos $(STATICCHECK) ./...
	done
	if command -v golangci-lint >/dev/null; then golangci-lint run; else echo "golangci-lint is not installed: skipped"; fi

# The tool runs here, what it looks at may be of another system.
STATICCHECK = $$($(TOOL) -n staticcheck)

.PHONY: generate
generate: ## regenerate the mocks
	rm -rf $(GENERATED)
	$(GO) generate ./mocks
	$(TOOL) mockery --log-level=warn

.PHONY: generate-check
generate-check: ## fail if `make generate` would change anything
	tmp=$$(mktemp -d)
	trap 'rm -rf "$$tmp"' EXIT
	$(COPY) | tar -xf - -C "$$tmp"
	$(MAKE) -C "$$tmp" generate
	for dir in $(GENERATED); do diff -r $$dir "$$tmp/$$dir"; done

# The work tree as it is, as a tar archive.
COPY = git ls-files -co --exclude-standard | while read -r f; do [ ! -f "$$f" ] || echo "$$f"; done | tar -cf - -T -

.PHONY: tidy-check
tidy-check: ## fail if `go mod tidy` would change the go.mod or go.sum of a module
	for dir in $(MODULES); do
		echo "go mod tidy in $$dir"
		(cd $$dir && $(GO) mod tidy -diff)
	done

# vet compiles what a package depends on, and links nothing: so it passes even
# for those pairs for which Go cannot link a program without cgo (android but
# for arm64, and ios). On a fresh machine most of the time goes into the
# standard library, and that for the tests is twice as large: so the tests are
# looked at on one architecture of the main systems.
CROSS      ?= $(shell $(GO) tool dist list)
CROSS_TESTS ?= linux/386 darwin/arm64 freebsd/amd64 windows/amd64
NO_LINK     = android/386 android/amd64 android/arm ios/amd64 ios/arm64
.PHONY: cross
cross: ## vet and build for every system and architecture of Go, without cgo
	tmp=$$(mktemp -d)
	trap 'rm -rf "$$tmp"' EXIT
	$(COPY) | tar -xf - -C "$$tmp" --exclude='*_test.go'
	export CGO_ENABLED=0
	failed=
	for pair in $(CROSS); do
		export GOOS=$${pair%/*} GOARCH=$${pair#*/}
		(cd "$$tmp" && $(GO) vet $(CROSS_PKGS)) || failed="$$failed $$pair"
		case " $(NO_LINK) " in
		*" $$pair "*) echo "$$pair: vet; not linked: Go needs cgo for that" ;;
		*) $(GO) build -o "$$tmp/bin/" ./cmd/... || failed="$$failed $$pair"
		   echo "$$pair: vet, build" ;;
		esac
	done
	for pair in $(CROSS_TESTS); do
		GOOS=$${pair%/*} GOARCH=$${pair#*/} $(GO) vet ./... || failed="$$failed $$pair"
		echo "$$pair: vet of the tests"
	done
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

CROSS_PKGS = ./lock ./fsys/... ./proc/... ./cmd/...

.PHONY: explore
explore: ## search more interleavings, exhaustively (minutes)
	$(GO) test ./lock -run TestExplore -explore.deep -count=1 -timeout=60m

TORTURE ?= -duration 60s
.PHONY: torture
torture: ## kill lock holders at random for a minute, and watch for two owners
	$(GO) run ./internal/testutil/torture $(TORTURE)

.PHONY: bench
bench: ## run the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./lock ./fsys ./proc

.PHONY: man
man: ## write the manual pages to man/
	$(GO) run ./cmd/dirlock man man

.PHONY: clean
clean: ## remove what the other targets left
	rm -rf bin cover.out
