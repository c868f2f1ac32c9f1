# make help shows what there is.

CARGO ?= cargo
PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROGRAMS ?= $(TARGET)/release
# End-to-end tests mostly wait (for limited transfers, for a server to come back), so more of them run at once than there are cores.
TEST_THREADS ?= 4
SOAK_MINUTES ?= 30
# Random schedules that the rules are played through.
SCHEDULES ?= 100000
# How long each fuzz target is played.
FUZZ_SECONDS ?= 60

bin = $(DESTDIR)$(PREFIX)/bin
share = $(DESTDIR)$(PREFIX)/share
# systemd looks for the units of a person in ~/.local/share, and not in ~/.local/lib.
units = $(DESTDIR)$(PREFIX)/$(if $(filter $(HOME)/%,$(abspath $(PREFIX))),share,lib)/systemd/user

.PHONY: help demo lab pictures test lint install install-files install-docs uninstall deb bench soak fuzz setup

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

demo: ## send 256 MiB between two daemons on this machine, through a private Prosody (needs Rust only, and no root)
	@tests/setup-demo.sh "$(TARGET)"
	$(CARGO) build --locked -p xbtd -p xbtctl -p xbt-tests --bin xbtd --bin xbtctl --bin demo
	$(TARGET)/debug/demo

lab: setup ## two people, their routers and servers in networks of their own, by hand: make lab SCENE=name LINE=… (needs root)
	$(CARGO) build --workspace
	@$(TARGET)/debug/lab "$(SCENE)" "$(LINE)"

pictures: setup ## the terminal pictures of the documents, recorded anew
	$(CARGO) build --workspace
	$(TARGET)/debug/pictures docs/pictures

test: setup ## all tests
	$(CARGO) build --workspace
	$(CARGO) build --locked --manifest-path tests/peers/cratetorrent/Cargo.toml --target-dir $(TARGET)/peers
	XBT_SCHEDULES=$(SCHEDULES) $(CARGO) test --workspace --no-fail-fast -- --test-threads=$(TEST_THREADS)

lint: ## format, clippy and rustdoc, with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

install: ## release programs, user units, documentation and completions, to PREFIX
	$(CARGO) build --release --locked -p xbtd -p xbtctl -p xbt-notify
	@$(MAKE) --no-print-directory install-files

# The programs are there already, in PROGRAMS.
install-files:
	install -d $(bin) $(share)/man/man1 $(share)/man/man5 $(share)/bash-completion/completions $(share)/zsh/site-functions $(share)/fish/vendor_completions.d
	install -m 755 $(PROGRAMS)/xbtd $(PROGRAMS)/xbtctl $(bin)
	@$(MAKE) --no-print-directory install-docs
	install -d $(units)
	sed 's|^ExecStart=[^ ]*xbtd|ExecStart=$(abspath $(PREFIX))/bin/xbtd|' systemd/xbtd.service > $(units)/xbtd.service
	install -m 644 systemd/xbtd.socket $(units)
	$(PROGRAMS)/xbtctl man --dir $(share)/man/man1
	install -m 644 docs/man/xbtd.1 $(share)/man/man1
	install -m 644 docs/man/xbtd.toml.5 $(share)/man/man5
	@$(MAKE) --no-print-directory install-desktop
	$(PROGRAMS)/xbtctl completions bash > $(share)/bash-completion/completions/xbtctl
	$(PROGRAMS)/xbtctl completions zsh > $(share)/zsh/site-functions/_xbtctl
	$(PROGRAMS)/xbtctl completions fish > $(share)/fish/vendor_completions.d/xbtctl.fish

# Laid out as in the source, so that their links lead somewhere.
docs = $(share)/doc/xbt
install-docs:
	install -d $(docs)/config $(docs)/docs/decisions $(docs)/docs/examples $(docs)/docs/pictures
	install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE $(docs)
	install -m 644 config/xbtd.toml $(docs)/config
	install -m 644 docs/*.md $(docs)/docs
	install -m 644 docs/decisions/*.md $(docs)/docs/decisions
	install -m 644 docs/examples/* $(docs)/docs/examples
	install -m 644 docs/pictures/* $(docs)/docs/pictures

# Notifications, entries for menus and file managers. Those of a home name the programs by their whole path: ~/.local/bin is not
# everywhere in the PATH of a desktop. What starts with a session stands outside of PREFIX, except in a home.
at = $(abspath $(PREFIX))/bin
sessions = $(DESTDIR)$(if $(filter $(HOME)/%,$(abspath $(PREFIX))),$(HOME)/.config,/etc/xdg)/autostart
install-desktop:
	install -d $(bin) $(units) $(share)/man/man1 $(share)/applications $(share)/Thunar/sendto $(share)/kio/servicemenus $(share)/nautilus-python/extensions $(sessions)
	install -m 755 $(PROGRAMS)/xbt-notify $(bin)
	install -m 644 docs/man/xbt-notify.1 $(share)/man/man1
	install -Dm 644 config/desktop/xbt.svg $(share)/icons/hicolor/scalable/apps/xbt.svg
	sed 's|^ExecStart=[^ ]*xbt-notify|ExecStart=$(at)/xbt-notify|' systemd/xbt-notify.service > $(units)/xbt-notify.service
	sed 's|Exec=xbt|Exec=$(at)/xbt|' config/desktop/xbt.desktop > $(share)/applications/xbt.desktop
	sed 's|Exec=xbt|Exec=$(at)/xbt|' config/desktop/xbt-notify.desktop > $(sessions)/xbt-notify.desktop
	sed 's|Exec=xbt|Exec=$(at)/xbt|' config/desktop/xbt-thunar.desktop > $(share)/Thunar/sendto/xbt.desktop
	sed 's|Exec=xbt|Exec=$(at)/xbt|' config/desktop/xbt-dolphin.desktop > $(share)/kio/servicemenus/xbt.desktop
	chmod 755 $(share)/kio/servicemenus/xbt.desktop # KDE takes entries from homes only if they may be run
	sed 's|"xbtctl"|"$(at)/xbtctl"|' config/desktop/xbt_nautilus.py > $(share)/nautilus-python/extensions/xbt.py

uninstall: ## take away what make install put to PREFIX; configuration, state and files stay
	rm -f $(bin)/xbtd $(bin)/xbtctl $(bin)/xbt-notify $(units)/xbtd.service $(units)/xbtd.socket $(units)/xbt-notify.service
	rm -f $(share)/man/man1/xbtd.1 $(share)/man/man1/xbtctl.1 $(share)/man/man1/xbtctl-*.1 $(share)/man/man1/xbt-notify.1 $(share)/man/man5/xbtd.toml.5
	rm -f $(share)/bash-completion/completions/xbtctl $(share)/zsh/site-functions/_xbtctl $(share)/fish/vendor_completions.d/xbtctl.fish
	rm -f $(share)/applications/xbt.desktop $(sessions)/xbt-notify.desktop $(share)/icons/hicolor/scalable/apps/xbt.svg
	rm -f $(share)/Thunar/sendto/xbt.desktop $(share)/kio/servicemenus/xbt.desktop $(share)/nautilus-python/extensions/xbt.py
	rm -rf $(share)/doc/xbt

deb: ## a Debian package, in TARGET/debian
	$(CARGO) build --release --locked -p xbtd -p xbtctl -p xbt-notify
	config/debian/build.sh $(PROGRAMS) $(TARGET)/debian

bench: setup ## xbt beside everything people use, on this machine (release build); ONLY=files,xmpp,distance,… QUICK=1
	$(CARGO) build --release --workspace
	$(CARGO) build --release -p xbt-torrent --example peer
	CARGO="$(CARGO)" tests/bench/setup.sh $(abspath $(TARGET))
	XBT_LOG=info ONLY=$(ONLY) QUICK=$(QUICK) $(TARGET)/release/bench $(TARGET)/bench

soak: setup ## random schedules, kills, stops, floods, full disks and power cuts with new seeds, for SOAK_MINUTES
	$(CARGO) build --workspace
	@SOAK_MINUTES=$(SOAK_MINUTES) TEST_THREADS=$(TEST_THREADS) CARGO="$(CARGO)" tests/soak.sh

fuzz: ## every parser that faces outside with random and edited input, each for FUZZ_SECONDS
	BOLERO_RANDOM_TEST_TIME_MS=$$(($(FUZZ_SECONDS) * 1000)) $(CARGO) test --locked --manifest-path tests/fuzz/Cargo.toml --no-fail-fast -- --nocapture

setup: ## what the tests need beside Rust: Debian packages, without their services
	@tests/setup.sh
