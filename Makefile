# make help shows what there is.

CARGO ?= cargo
PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
# End-to-end tests mostly wait (for limited transfers, for a server to come back), so more of them run at once than there are cores.
TEST_THREADS ?= 4
SOAK_ROUNDS ?= 20

bin = $(DESTDIR)$(PREFIX)/bin
share = $(DESTDIR)$(PREFIX)/share

.PHONY: help demo test lint install bench soak setup

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

demo: setup ## send 256 MiB between two daemons on this machine, through a private Prosody
	$(CARGO) build --workspace
	$(TARGET)/debug/demo

test: setup ## all tests
	$(CARGO) build --workspace
	$(CARGO) test --workspace -- --test-threads=$(TEST_THREADS)

lint: ## format, clippy and rustdoc, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

install: ## release programs, user unit, example configuration, manual and completions, to PREFIX
	$(CARGO) build --release --locked -p xbtd -p xbtctl
	install -d $(bin) $(share)/man/man1 $(share)/bash-completion/completions $(share)/zsh/site-functions $(share)/fish/vendor_completions.d
	install -m 755 $(TARGET)/release/xbtd $(TARGET)/release/xbtctl $(bin)
	install -Dm 644 config/xbtd.toml $(share)/doc/xbt/xbtd.toml
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/user
	sed 's|^ExecStart=[^ ]*xbtd|ExecStart=$(abspath $(PREFIX))/bin/xbtd|' systemd/xbtd.service > $(DESTDIR)$(PREFIX)/lib/systemd/user/xbtd.service
	$(TARGET)/release/xbtctl man --dir $(share)/man/man1
	$(TARGET)/release/xbtctl completions bash > $(share)/bash-completion/completions/xbtctl
	$(TARGET)/release/xbtctl completions zsh > $(share)/zsh/site-functions/_xbtctl
	$(TARGET)/release/xbtctl completions fish > $(share)/fish/vendor_completions.d/xbtctl.fish

bench: setup ## how fast the engine alone and all of xbt are on this machine (release build)
	$(CARGO) build --release --workspace
	$(CARGO) build --release -p xbt-torrent --example loopback
	XBT_LOG=info $(TARGET)/release/bench

soak: setup ## the tests in which things are killed, SOAK_ROUNDS times over
	$(CARGO) build --workspace
	@for round in $$(seq $(SOAK_ROUNDS)); do echo "round $$round of $(SOAK_ROUNDS)"; \
	$(CARGO) test -q -p xbt-tests --test e2e -- --test-threads=$(TEST_THREADS) crash:: server:: queue:: devices:: || exit 1; done

setup: ## what tests and demo need beside Rust
	@tests/setup.sh
