# graftd. `make run` builds and starts it, `make test` tests everything; each installs what it lacks.

SHELL := /bin/bash
CARGO ?= cargo
PROFILE := release
OUT := $(or $(CARGO_TARGET_DIR),target)/$(PROFILE)

# The plugins are the folders whose crate is a cdylib.
PLUGINS := $(patsubst plugins/%/Cargo.toml,%,$(shell grep -ls cdylib plugins/*/Cargo.toml))

.DEFAULT_GOAL := help
.PHONY: help deps web test-web lint-web build build-all plugins run run-agent agent-conf test test-rust test-doc lint fmt soak bench clean

help: ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 16

deps:
	@.ci/install-deps build

# The pages, which the daemon has in it: made anew when something that they are made of is newer (a folder is when a file of it went),
# or when they are not there. The manifest is written last.
WEB := host/web
WEB_MADE := $(WEB)/dist/manifest.json
WEB_FROM := $(shell find $(WEB)/src 2>/dev/null) $(WEB)/build.mjs $(WEB)/tsconfig.json

web: deps $(WEB_MADE) ## Build the pages alone, which `graftd run --web host/web/dist` serves

$(WEB)/node_modules/.package-lock.json: $(WEB)/package.json $(WEB)/package-lock.json
	cd $(WEB) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB_MADE): $(WEB)/node_modules/.package-lock.json $(WEB_FROM)
	cd $(WEB) && node build.mjs
	@touch $@

build: web ## Build the pages, the daemon, its worker for Python and the plugins, and put the plugins into plugins/
	$(CARGO) build --$(PROFILE) -p graftd -p graftd-gmod $(PLUGINS:%=-p graft-%)
	@$(MAKE) --no-print-directory plugins

# The same and what only tests and benches need: plugins that misbehave, the harness.
build-all: web
	$(CARGO) build --$(PROFILE) --workspace --bins --lib
	@$(MAKE) --no-print-directory plugins

plugins:
	@chmod go-w plugins conf conf/*.o* conf/*.conf
	@umask 022; for name in $(PLUGINS); do \
	  so=$(OUT)/libgraft_$${name//-/_}.so; \
	  strip --strip-unneeded -o plugins/.$$name.so.new $$so && mv plugins/.$$name.so.new plugins/$$name.so || exit 1; \
	done

run: build ## Build, and start the daemon on the embedded defaults
	@mkdir -p data
	@exec $(OUT)/graftd run --plugins plugins --conf conf --data data

AGENT ?= agent
# Some shells have a HOST of their own.
NAMED := $(if $(filter command,$(origin HOST)),$(HOST))

run-agent: build agent-conf ## Build, and start an agent that relays to TO=host:port (TOKEN_FILE=, HOST=), with folders of its own in agent/
	@exec $(OUT)/graftd run --role agent --plugins plugins --conf $(AGENT)/conf --data $(AGENT)/data --http 127.0.0.1:0 --push 127.0.0.1:0

# What is there already is somebody's: it stays, and what was said in vain is told.
agent-conf:
	@mkdir -p $(AGENT)/conf $(AGENT)/data && chmod go-w $(AGENT) $(AGENT)/conf $(AGENT)/data
	@on='$(AGENT)/conf/relay.on'; off='$(AGENT)/conf/relay.off'; token='$(abspath $(TOKEN_FILE))'; \
	lines() { printf 'to = "%s"\n' '$(or $(TO),127.0.0.1:8652)'; \
	  test -z "$$token" || printf 'token_file = "%s"\n' "$$token"; test -z '$(NAMED)' || printf 'host = "%s"\n' '$(NAMED)'; }; \
	in_vain() { test -z "$$2" || grep -qxF "$$3" "$$1" || echo "$$1 is there already; $$2 is not used" >&2; }; \
	there="$$on"; test -e "$$on" || there="$$off"; \
	if test -e "$$there"; then \
	  in_vain "$$there" $(if $(TO),TO,'') 'to = "$(TO)"'; in_vain "$$there" $(if $(TOKEN_FILE),TOKEN_FILE,'') "token_file = \"$$token\""; \
	  in_vain "$$there" $(if $(NAMED),HOST,'') 'host = "$(NAMED)"'; \
	  test -e "$$on" || echo "$$off keeps the relay off: this agent sends nothing" >&2; \
	else there="$$on"; { echo 'plugin = "relay"'; lines; } > "$$on"; fi; chmod go-w "$$there"

test: build-all lint test-rust test-doc test-web ## Test everything: unit, property, doc, end to end, lint

# nextest runs each test in a process of its own and shows the slow ones; plain cargo test does as well.
test-rust:
	@.ci/install-deps test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run --no-fail-fast --cargo-profile $(PROFILE) --workspace; \
	else $(CARGO) test --$(PROFILE) --workspace --lib --bins --tests; fi

test-doc:
	$(CARGO) test --$(PROFILE) --workspace --doc

# What the pages are made of, without a browser; and then with one, where there is Chromium (tests/pages).
test-web: web
	@.ci/install-deps test
	cd $(WEB) && node test.mjs
	node --test tests/pages/*.spec.mjs

lint-web: web
	cd $(WEB) && npx --no-install tsc --noEmit

lint: lint-web ## Format, clippy and the pages' types, with no warning left
	$(CARGO) fmt --all --check
	$(CARGO) clippy --$(PROFILE) --workspace --all-targets -- -D warnings

fmt: ## Format all code
	$(CARGO) fmt --all

soak: build-all ## The long runs whole: 10,000 swaps under load, a minute of meddling, a million lines of nginx, fifty agents that die for ten (an hour)
	@.ci/install-deps test
	GRAFTD_SOAK=1 $(CARGO) test --$(PROFILE) -p graftd-tests --test e2e -- --nocapture --test-threads 1 soak:: tail::nginx:: tail::survival:: relay::exact:: relay::nats:: relay::many:: relay::away::

# `make bench tail` measures that part alone.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
PARTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(PARTS)
$(PARTS): bench ; @:
endif

bench: build-all ## Measure: lines, updates, the plugin boundary, workers, drop-to-live, a tailed log, memory, history, the net
	@.ci/install-deps test
	$(if $(filter-out pages,$(PARTS))$(if $(PARTS),,all),$(CARGO) run --$(PROFILE) -p graftd-bench -- $(filter-out pages,$(PARTS)))
	$(if $(filter pages,$(PARTS))$(if $(PARTS),,all),node tests/pages/bench.mjs)

clean: ## Remove what was built
	$(CARGO) clean
	rm -f plugins/*.so
	rm -rf $(WEB)/node_modules $(WEB)/dist/*
