# `make run` and `make test` are all that most people need; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build demo clean-demo test fuzz bench install uninstall clean setup setup-test setup-bench

DEMO := fixtures/demo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# A shell that has not logged in since rustup ran lacks this.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# Where `make install` puts things; DESTDIR stages a package.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS := $(DESTDIR)$(PREFIX)/lib/sysusers.d
CONFIG := $(DESTDIR)$(SYSCONFDIR)/tollbridge
DOCS := $(DESTDIR)$(PREFIX)/share/doc/tollbridge

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 16

# The old order system of the demo runs beside the service, and ends with it.
run: build demo ## install what is missing, build, and serve the demo until Ctrl-C
	@cargo build --locked --release --example fragile_erp
	@$(TARGET)/release/examples/fragile_erp 9000 > /dev/null & erp=$$!; trap "kill $$erp 2> /dev/null || true" EXIT; \
		cargo run --quiet --locked --release --bin tollbridge -- --config $(DEMO)/tollbridge.toml serve

build: setup ## install what is missing and build the program
	@cargo build --locked --release --bin tollbridge

# The service moves the files it has read to archive/ beside the inbox, so it works on a copy. The copy is made
# once, and appears whole.
demo: ## lay the demo's files into its inbox and its database beside it, unless that was done before
	@test -d $(DEMO)/var/inbox || { \
		rm -rf $(DEMO)/var/inbox.new; \
		mkdir -p $(DEMO)/var/inbox.new; \
		cp $(DEMO)/data/* $(DEMO)/var/inbox.new/; \
		mv $(DEMO)/var/inbox.new $(DEMO)/var/inbox; \
	}
	@test -f $(DEMO)/var/wws.sqlite || { \
		cp $(DEMO)/database/wws.sqlite $(DEMO)/var/wws.sqlite.new; \
		mv $(DEMO)/var/wws.sqlite.new $(DEMO)/var/wws.sqlite; \
	}

clean-demo: ## forget everything that the demo has read and staged
	rm -rf $(DEMO)/var

# Half of a test's time it waits for others: servers, timeouts, files that settle.
test: setup-test ## install what is missing, then check format and lints, run every test, and fuzz for a moment
	@cargo fmt --all --check
	@cargo clippy --locked --all-targets -- -D warnings
	@cargo test --locked --features kerberos -- --test-threads "$$(($$(nproc) * 3 / 2))"
	@cargo clippy --locked --package tollbridge-model --package tollbridge-fuzz --all-targets -- -D warnings
	@cargo test --locked --package tollbridge-model
	@scripts/fuzz short

fuzz: setup-test ## fuzz every decoder, half an hour each (FUZZ=SECONDS for another time, TARGETS="csv cobol" for some)
	@scripts/fuzz $(or $(FUZZ),1800) $(TARGETS)

bench: setup-bench ## measure against work done beside it in the same process, and print the ratios
	@scripts/peers
	@cargo bench --locked --benches

# Builds nothing, so that `sudo make install` needs no cargo.
install: ## after `make build`: install program, unit, user and first configuration below PREFIX and /etc
	@test -x $(TARGET)/release/tollbridge || { echo "run \`make build\` first: there is no $(TARGET)/release/tollbridge" >&2; exit 1; }
	install -D -m 0755 $(TARGET)/release/tollbridge "$(DESTDIR)$(PREFIX)/bin/tollbridge"
	install -d -m 0755 "$(UNITS)" "$(SYSUSERS)"
	sed 's|/usr/local/|$(PREFIX)/|g' systemd/tollbridge.service > "$(UNITS)/tollbridge.service"
	install -m 0644 systemd/tollbridge.sysusers "$(SYSUSERS)/tollbridge.conf"
	install -D -m 0644 -t "$(DOCS)" README.md LICENSE systemd/tollbridge.toml systemd/credentials.conf
	install -D -m 0644 -t "$(DOCS)/docs" docs/*.md
	install -d -m 0755 "$(CONFIG)" "$(CONFIG)/mappings"
	test -e "$(CONFIG)/tollbridge.toml" || install -m 0644 systemd/tollbridge.toml "$(CONFIG)/tollbridge.toml"
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemd-sysusers "$(SYSUSERS)/tollbridge.conf"; systemctl daemon-reload; fi
	@echo "Installed. Next: put a mapping into $(SYSCONFDIR)/tollbridge/mappings, then: systemctl enable --now tollbridge"

uninstall: ## remove what install put there; configuration and state stay
	rm -f "$(DESTDIR)$(PREFIX)/bin/tollbridge" "$(UNITS)/tollbridge.service" "$(SYSUSERS)/tollbridge.conf"
	rm -rf "$(DOCS)"

clean: clean-demo ## remove everything that was built, and the demo's state
	cargo clean

setup:
	@scripts/setup

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench
