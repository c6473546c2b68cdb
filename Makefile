# io_uring in nine days: "make help" lists what can be made.
# A program's source dayNN-topic/name.c becomes dayNN/name; objects go to build/.

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wconversion -Wno-sign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla $(if $(CI),-Werror)
LIBURING = liburing

# make SANITIZE=1: every program checks itself for memory errors and undefined behaviour.
ifeq ($(SANITIZE),1)
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
# make THREAD_SANITIZE=1: every program looks for what two of its threads use at once.
ifeq ($(THREAD_SANITIZE),1)
SANITIZERS = -fsanitize=thread -fno-omit-frame-pointer
endif

ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -MMD -MP -I. $(LIBURING_CFLAGS) $(SANITIZERS) $(CFLAGS)
ALL_LDFLAGS = $(SANITIZERS) $(LDFLAGS)
ALL_LDLIBS = $(LIBURING_LIBS) $(LDLIBS)

DAYS = day01 day02 day03 day04 day05 day06 day07 day08 day09
DAY_SOURCES = $(wildcard day0[1-9]-*/*.c)
COMMON_OBJECTS = $(patsubst %.c,build/%.o,$(wildcard common/*.c))
program = $(firstword $(subst -, ,$(1)))/$(basename $(notdir $(1)))
PROGRAMS = $(foreach source,$(DAY_SOURCES),$(call program,$(source))) day01/probe
BENCH_PROGRAMS = bench/epoll-echo bench/load bench/ring-ops
MISTAKES = $(patsubst %.c,%,$(wildcard mistakes/*.c))
PRELOADED = inject hurry uncounted
TEST_PROGRAMS = $(patsubst %.c,build/%,$(filter-out $(PRELOADED:%=tests/%.c),$(wildcard tests/*.c tests/foreign/*.c)))

# Only what compiles needs the compiler and liburing; a missing one is said in one line.
ifneq ($(filter-out help clean test-elsewhere,$(or $(MAKECMDGOALS),all)),)
ifeq ($(shell command -v $(firstword $(CC))),)
$(error no C compiler '$(CC)': $(shell tools/set-up-command))
endif
ifeq ($(shell command -v pkg-config),)
$(error no pkg-config: $(shell tools/set-up-command))
endif
ifneq ($(shell pkg-config --atleast-version=2.3 $(LIBURING) && echo found),found)
$(error no liburing 2.3 or later that pkg-config knows: $(shell tools/set-up-command); where that is older, see docs/install.md))
endif
# Its headers, wherever they lie, are not ours to be warned about.
LIBURING_CFLAGS := $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(LIBURING))) \
	-DLIBURING_VERSION='"$(shell pkg-config --modversion $(LIBURING))"'
LIBURING_LIBS := $(shell pkg-config --libs $(LIBURING))
# Neither is what stands in for three functions that musl, Alpine's C library, lacks.
ifneq ($(shell $(CC) -E -include error.h -x c /dev/null >/dev/null 2>&1 && echo found),found)
LIBURING_CFLAGS += -isystem common/musl -include common/musl/error.h
endif
endif

all: $(DAYS) ringtrace ## build every day and ringtrace

$(DAYS): ## dayNN: build one day's programs

# Compiles the days and links nothing, for a compiler that has no liburing to link with.
objects: $(patsubst %.c,build/%.o,$(DAY_SOURCES) tools/probe.c) $(COMMON_OBJECTS)
.PHONY: all $(DAYS) objects

# $(1) is a source like day01-setup/setup.c; its program is day01/setup, part of the target day01.
define day_rules
$(firstword $(subst -, ,$(1))): $(call program,$(1))
$(call program,$(1)): build/$(1:.c=.o) $(COMMON_OBJECTS)
endef
$(foreach source,$(DAY_SOURCES),$(eval $(call day_rules,$(source))))

# A tool, and no lesson; but day 1 is when one needs it, so its program is there.
day01 probe: day01/probe
day01/probe: build/tools/probe.o $(COMMON_OBJECTS)
probe: ## build day01/probe, which tells what this machine's io_uring can do
.PHONY: probe

# The programs of the benchmark; bench-programs builds them and runs nothing.
bench-programs: $(BENCH_PROGRAMS)
$(BENCH_PROGRAMS): %: build/%.o $(COMMON_OBJECTS)
bench/load: build/bench/histogram.o
bench: all bench-programs ## measure io_uring against epoll, in five minutes (QUICK=1: one)
	@bench/run $(if $(QUICK),--quick)
.PHONY: bench bench-programs

# What docs/ shows: docs/snippets/name.c becomes docs/snippets/name, which needs liburing only.
SNIPPETS = $(patsubst %.c,%,$(wildcard docs/snippets/*.c))
snippets: $(SNIPPETS) ## build the small programs that docs/ shows
$(SNIPPETS): %: build/%.o
.PHONY: snippets

# Common mistakes: mistakes/name.c becomes mistakes/name, which needs liburing only.
mistakes: $(MISTAKES) ## build the common mistakes: ./mistakes/NAME, and with --fixed
$(MISTAKES): %: build/%.o
mistake: $(if $(M),mistakes/$(M)) ## M=NAME: run a mistake, wrong and fixed, and ask ringtrace about it
ifeq ($(M),)
	@echo 'make mistake M=NAME, where NAME is one of:' $(notdir $(MISTAKES))
else
	@mistakes/show $(M)
endif
.PHONY: mistakes mistake

# What only the tests use: tests/name.c becomes build/tests/name.
test-programs: $(TEST_PROGRAMS) $(PRELOADED:%=build/tests/%.so)
$(TEST_PROGRAMS): build/tests/%: build/tests/%.o $(COMMON_OBJECTS)
.PHONY: test-programs

# What readers make of the exercises (./exercise): my/3.1/accept.c becomes build/my/3.1/accept.
MY_PROGRAMS = $(patsubst %.c,build/%,$(wildcard my/[1-9].[1-9]/*.c))
$(MY_PROGRAMS): build/%: build/%.o $(COMMON_OBJECTS)

$(PROGRAMS) $(BENCH_PROGRAMS) $(TEST_PROGRAMS) $(SNIPPETS) $(MISTAKES) $(MY_PROGRAMS) ringtrace:
	@echo "LD $@"
	@mkdir -p $(@D)
	@$(CC) $(ALL_LDFLAGS) $^ -o $@ $(ALL_LDLIBS)

build/%.o: %.c build/flags
	@echo "CC $<"
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -c $< -o $@

soak: all test-programs ## a minute of random peers (SECONDS=600: ten)
	@tests/soak $(SECONDS)
coverage: ## which lines and branches the tests do not reach
	@tests/coverage
.PHONY: soak coverage

test-kernel: $(if $(filter arm64,$(ARCH)),,all test-programs bench-programs) ## run the days' tests on Linux 6.1, in qemu (ARCH=arm64)
	@tools/test-kernel $(if $(filter arm64,$(ARCH)),--arm64); status=$$?; [ $$status -eq 77 ] || exit $$status
.PHONY: test-kernel

test-elsewhere: ## do what the README says on Debian 13, in a folder (SUITE=sid: unstable)
	@tools/test-elsewhere $(SUITE); status=$$?; [ $$status -eq 77 ] || exit $$status
.PHONY: test-elsewhere

# Another compiler or other flags than last time rebuild everything.
build/flags: FORCE
	@mkdir -p build
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
FORCE:
.PHONY: FORCE

# ringtrace's library becomes part of programs with and without sanitizers, and so has none itself.
RECORDER_OBJECTS = $(patsubst %,build/tools/ringtrace/%.o,recorder hooks names)
$(RECORDER_OBJECTS): private SANITIZERS =
$(RECORDER_OBJECTS): private ALL_CFLAGS += -fPIC

# Preloaded by tests, which has the same reason.
$(PRELOADED:%=build/tests/%.o): private SANITIZERS =
$(PRELOADED:%=build/tests/%.o): private ALL_CFLAGS += -fPIC
$(PRELOADED:%=build/tests/%.so): %.so: %.o
	@echo "LD $@"
	@$(CC) -shared $(LDFLAGS) $< -o $@

ringtrace: $(filter-out %/recorder.o %/hooks.o,$(patsubst %.c,build/%.o,$(wildcard tools/ringtrace/*.c))) \
	build/common/options.o build/common/output.o build/bench/histogram.o | build/libringtrace.so ## build ringtrace, which shows a ring's traffic

# The page of --html becomes a part of ringtrace.
build/tools/ringtrace/html.o: $(wildcard tools/ringtrace/player/*)

build/libringtrace.so: $(RECORDER_OBJECTS) tools/ringtrace/ringtrace.map
	@echo "LD $@"
	@$(CC) -shared $(LDFLAGS) -Wl,--version-script=tools/ringtrace/ringtrace.map $(RECORDER_OBJECTS) -o $@

-include $(wildcard build/*/*.d build/*/*/*.d)

test: ## run all tests, like "bats tests"
	bats tests

tour: all ## run every day's programs against a real client
	@tools/tour

site: all ## make pages of everything, in build/site, with runs to watch
	@tools/site/build
.PHONY: site

SOURCES = $(wildcard */*.[ch] common/*/*.h docs/snippets/*.[ch] tests/*/*.[ch] tools/*/*.[ch])
SCRIPTS = .ci/run exercise exercises/check.bash $(wildcard exercises/*/check) \
	$(shell grep -lE '^\#!.*sh$$' bench/* mistakes/* tools/* tools/site/* tests/* tests/site/* 2>/dev/null)
lint: ## check layout, and look for defects without running anything
	clang-format --dry-run --Werror $(SOURCES)
	printf '%s\n' $(filter %.c,$(SOURCES)) | xargs -P 2 -I FILE \
		clang-tidy --quiet FILE -- -std=gnu11 -D_GNU_SOURCE -I. $(LIBURING_CFLAGS)
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
		--error-exitcode=1 -I. $(filter %.c,$(SOURCES))
	shellcheck $(SCRIPTS) tests/*.bash tests/*.bats
.PHONY: test tour lint

clean: ## remove everything that make built
	rm -rf build $(DAYS) $(BENCH_PROGRAMS) $(SNIPPETS) $(MISTAKES) ringtrace

help: ## this list; SANITIZE=1 or THREAD_SANITIZE=1 with any: programs that check themselves
	@LC_ALL=C sed -n 's/^\([a-z$$(A-Z)-]*\):.* ## /\1\t/p' Makefile | sed 's/^$$(DAYS)\tdayNN: /day01 .. day09\t/' | \
		expand -t 16
.PHONY: clean help
