# Everything runs with the Node.js of node_modules, whatever the machine's own is.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup sandbox demo test unit e2e check bench clean

help:
	@echo 'make demo     run a factory with a sandbox release on 127.0.0.1:8080 and boot one of its images'
	@echo '              (ONESHOT=1: stop after the boot; DEMO_ADDR=host:port, DEMO_DIR=dir)'
	@echo 'make test     every check and every test, boots in QEMU included'
	@echo 'make check    types, lint, unused exports, generated documents'
	@echo 'make bench    the benchmarks'
	@echo 'make clean    remove what was made here, downloads too'

setup:
	@scripts/setup.sh

# The Talos-shaped release that tests and demo use, made once (.cache).
sandbox: setup
	@node scripts/sandbox.ts

demo: setup
	@node scripts/demo.ts $(if $(ONESHOT),--oneshot) $(if $(DEMO_ADDR),--addr $(DEMO_ADDR)) $(if $(DEMO_DIR),--dir $(DEMO_DIR))

test: check unit e2e

unit: sandbox
	node --test --test-concurrency=2 'src/**/*.test.ts'

# One file after the other: each of them boots two machines at a time.
e2e: sandbox
	node --test --test-concurrency=1 'test/**/*.test.ts'

check: setup
	tsc --noEmit
	biome check .
	knip
	node scripts/generate-docs.ts --check

bench: sandbox
	$(foreach file,$(sort $(wildcard bench/*.bench.ts)),node $(file) &&) true

clean:
	rm -rf .cache demo data
