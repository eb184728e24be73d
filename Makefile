# `make` explains what there is to make.

GO      ?= go
SHELL   := bash

# Modules are the directories of the go.mod files: the library, and those that
# keep what it must not depend on.
MODULES = $(patsubst %/,%,$(dir $(shell git ls-files -co --exclude-standard -- go.mod '*/go.mod')))
TOOL    = $(GO) tool -modfile=tools/go.mod

.PHONY: help
help: ## explain these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the command as bin/dirlock
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/dirlock ./cmd/dirlock

.PHONY: test
test: ## run all tests, searches of interleavings among them (2 to 4 minutes)
	$(GO) test ./...

.PHONY: etcd
etcd: ## test the locks in etcd, on the embedded server and on one that is installed (3 minutes)
	cd etcdfs && $(GO) test ./...
	cd etcdfs/fenced && $(GO) test ./...

.PHONY: race
# A program with the race detector sleeps for a second before it exits, unless
# told not to: the tests start many.
RACE = GORACE=atexit_sleep_ms=0 $(GO) test -race -short
race: ## run the short tests with the race detector
	$(RACE) ./...

.PHONY: cover
cover: ## race, and fail if it covers less than 90 % of lock, fsys or proc
	$(RACE) -coverpkg=./lock,./fsys,./fsys/osfs,./proc -coverprofile=cover.out ./...
	awk -v min=90 -f scripts/cover.awk cover.out

.PHONY: faults
faults: ## let every system call of TryLock, Check and Unlock fail with every likely error (needs strace)
	$(GO) test ./lock -run TestProcessFaults -v -timeout 30m -args -faults.every

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (20s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

# What is used on one of these systems is used.
LINT_SYSTEMS = linux darwin freebsd windows
# golangci-lint has more dependencies than all else: it has a module of its own,
# and takes two minutes to build for the first time.
LINT = $(GO) tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
.PHONY: lint
lint: ## gofmt, go vet, staticcheck and golangci-lint
	@echo "gofmt -l"; out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "$$out"; exit 1; fi
	@set -e; for dir in . bench tools etcdfs etcdfs/fenced; do \
		echo "$$dir: go vet, golangci-lint run"; \
		(cd $$dir && $(GO) vet ./... && $(LINT) run); \
	done
	printf '%s\n' $(LINT_SYSTEMS) | sed 's/.*/&: GOOS=&/' | $(TOOL) staticcheck -matrix ./...

.PHONY: generate
generate: ## regenerate the mocks
	find mocks/gomocks mocks/testifymocks -name '*.go' ! -name doc.go -delete
	$(GO) generate ./mocks
	$(TOOL) mockery --log-level=warn

.PHONY: generate-check
generate-check: ## fail if generating would change anything
	scripts/generate-check

.PHONY: tidy-check
tidy-check: ## fail if the go.mod or go.sum of a module is not tidy
	@set -e; for dir in $(MODULES); do \
		echo "$$dir: go mod tidy -diff"; \
		(cd $$dir && $(GO) mod tidy -diff); \
	done

.PHONY: cross
cross: ## vet and build for every system and architecture of Go
	scripts/cross

.PHONY: wine
wine: ## run the tests for Windows under wine
	scripts/wine

.PHONY: filesystems
filesystems: ## check the file systems that can be mounted here (root; 3 minutes)
	scripts/filesystems

.PHONY: vms
vms: ## try NFS, power cuts and more in virtual machines (Debian; VMS="-run contention" for a part)
	scripts/apt vms processors
	$(GO) run ./internal/testutil/vms $(VMS)

.PHONY: vms-fetch
vms-fetch:
	scripts/apt vms
	$(GO) run ./internal/testutil/vms -fetch

# What CI does of it, in less than eight minutes.
.PHONY: vms-short
vms-short: ## the part of vms that CI runs: verdicts on NFS, contention, ten power cuts
	$(GO) run ./internal/testutil/vms -run verdicts,contention,power -quick -torture 20s -cycles 10 -limit 20m

.PHONY: explore
explore: ## search more interleavings, exhaustively (minutes)
	$(GO) test ./lock -run TestExplore -explore.deep -count=1 -timeout=60m

TORTURE ?= -procs 8 -for 60s -kill-every 5ms
.PHONY: mutants
mutants: ## break the protocol in every way that is known, and see a search find it (4 minutes)
	$(GO) test ./lock -run TestExploreMutants -explore.mutants -count=1 -timeout=30m

.PHONY: torture
torture: ## kill lock holders at random for a minute, and watch for two owners
	$(GO) run ./internal/testutil/torture $(TORTURE)

.PHONY: bench
bench: ## compare with other locks, in tables (12 minutes)
	cd bench && $(GO) run .

# OLD and NEW are commits; without NEW it is what is in the working tree. ONLY
# are scenarios of bench.
.PHONY: bench-compare
bench-compare: ## compare two versions with each other and gofrs/flock: OLD=commit [NEW=commit] [ONLY=A,B] (root)
	scripts/bench-compare "$(OLD)" "$(NEW)" "$(ONLY)"

.PHONY: gobench
gobench: ## run the Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: demo
demo: ## record the picture of the README, docs/demo.svg (root)
	scripts/demo

.PHONY: dist
dist: ## build a release of this commit into dist/, for all systems
	$(GO) run -C tools ./dist $(CURDIR)/dist $(DIST_SYSTEMS)

.PHONY: dist-check
dist-check: ## dist, twice, and fail if the results differ
	scripts/dist-check

.PHONY: deb-check
deb-check: ## install and remove the .deb of dist/ in a clean root (root)
	scripts/deb-check

.PHONY: man
man: ## write the manual page to bin/dirlock.1
	mkdir -p bin
	$(GO) run ./cmd/dirlock man >bin/dirlock.1

.PHONY: clean
clean: ## remove what the other targets left
	rm -rf bin dist cover.out
