# make up      what is missing is installed, everything is built and started (ARGS="--data-dir DIR" for `hansard up`)
# make test    every test, on a throwaway PostgreSQL and nats-server
# make chaos   rounds of faults on real processes while people send: ROUNDS=n (20), SEED=n to have the same ones again
# make check   what a commit must pass: format, lints, and the tests that need no server
SHELL := /bin/bash
target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: up test chaos check

up:
	@scripts/install-servers >/dev/null
	@echo "building hansard (the first time this takes some minutes)" >&2
	cargo build --release -p hansard
	@exec $(target)/release/hansard up $(ARGS)

test:
	@scripts/test-servers scripts/run-tests --workspace

chaos:
	@ROUNDS=$(or $(ROUNDS),20) SEED=$(SEED) cargo test --quiet -p hansard --test faults -- --ignored --nocapture rounds_of_faults

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@scripts/run-tests -p domain -p runtime -p hansard
