# weir: `make` builds the optimised program at build/weir; `make help` lists the rest.
MODE ?= release
CC = gcc
ARCH := $(shell uname -m)

WARNINGS = -Wall -Wextra -Werror -Wshadow -Wvla -Walloca -Wundef -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wpointer-arith -Wconversion -Wno-sign-conversion
COMMON = -std=gnu17 -D_GNU_SOURCE -g -fno-omit-frame-pointer -fno-common -fcf-protection=branch \
	-fstack-protector-strong -Isrc $(WARNINGS)
PACKAGES = libbrotlidec libbrotlienc libcares libmaxminddb libpcre2-8 libssl libcrypto libzstd zlib
# libnghttp2 as an archive: a third less work for each request than through its shared object.
LIBRARIES = $(shell pkg-config --libs $(PACKAGES)) -l:libnghttp2.a -lcrypt -lpthread
COMMON += $(shell pkg-config --cflags $(PACKAGES))

# release: what is shipped · paint: the same with painted stacks, for high-water marks
# asan, tsan: test builds · cover: counts lines · mutant: quick to build, quick to run
# fuzz: clang's libFuzzer
# Optimised as one program: a fifth fewer instructions for each request, a third of the misses in
# the processor's cache for code. In one partition: what calls each other is seen together. Jumps
# are not padded: what a request runs through barely fits into that cache.
OPTIMISED = -O2 -flto=auto -flto-partition=one -falign-jumps=1 -falign-loops=1 -falign-labels=1 \
	-fstack-clash-protection -D_FORTIFY_SOURCE=2 -Wframe-larger-than=2048
# Some hundred bytes are copied and wiped by the C library: the processor's string instructions, which
# the compiler would take, need as long to start as that.
ifeq ($(ARCH),x86_64)
OPTIMISED += -mmemset-strategy=unrolled_loop:192:noalign,libcall:-1:noalign \
	-mmemcpy-strategy=unrolled_loop:192:noalign,libcall:-1:noalign
endif
ifeq ($(MODE),release)
FLAGS = $(OPTIMISED)
else ifeq ($(MODE),paint)
FLAGS = $(OPTIMISED) -DFIBER_PAINT -DCHECK_SLOW
else ifeq ($(MODE),asan)
FLAGS = -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -DFIBER_ASAN -DCHECK_SLOW
else ifeq ($(MODE),tsan)
FLAGS = -O1 -fsanitize=thread -DFIBER_TSAN -DCHECK_SLOW
else ifeq ($(MODE),cover)
FLAGS = -O0 --coverage -DCHECK_SLOW
else ifeq ($(MODE),mutant)
FLAGS = -O1 -DCHECK_SLOW -w -g0
else ifeq ($(MODE),fuzz)
CC = clang
FLAGS = -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFIBER_ASAN -DCHECK_SLOW -Wno-error
else
$(error MODE is release, paint, asan, tsan, cover, mutant or fuzz)
endif
ifeq ($(ARCH),aarch64)
COMMON := $(filter-out -fcf-protection=branch,$(COMMON))
endif
CFLAGS = $(COMMON) $(FLAGS) $(EXTRA_CFLAGS)

OUT = build/$(MODE)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Files that end in an architecture's name are taken on that one only.
SOURCES := $(filter-out $(if $(filter x86_64,$(ARCH)),%_aarch64.c %_aarch64.S,%_x86_64.c %_x86_64.S),\
	$(wildcard src/*/*.c src/*/*.S))
OBJECTS := $(patsubst src/%,$(OUT)/obj/%.o,$(basename $(SOURCES)))
MAIN = $(OUT)/obj/main.o
LIBRARY = $(OUT)/libweir.a
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/*/test_*.c))
UNIT_SUPPORT := $(patsubst tests/unit/support/%.c,$(OUT)/unit/support/%.o,$(wildcard tests/unit/support/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(OUT)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
HEADERS := $(wildcard src/*/*.h)

.PHONY: all program simulation unit fuzzers bench-tools check-headers format check-format tidy clean help generated
.DELETE_ON_ERROR:
.SECONDARY: $(UNIT_SUPPORT)

all: $(if $(filter release,$(MODE)),build/weir,program)
build/weir: program
	@cmp -s $(OUT)/weir $@ || cp -f $(OUT)/weir $@
program: $(OUT)/weir
unit: $(UNIT_TESTS)
fuzzers: $(FUZZERS)

MANUALS = docs/man/weir.8 docs/man/weir.conf.5
generated: program ## what the program's tables say, written anew: manual pages
	@mkdir -p docs/man
	@for page in $(notdir $(MANUALS)); do \
		$(OUT)/weir schema --manual=$$page >docs/man/$$page.new && mv docs/man/$$page.new docs/man/$$page || exit 1; \
	done

$(OUT)/weir: $(MAIN) $(LIBRARY)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) -o $@ $^ $(LIBRARIES)
$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@gcc-ar rcs $@ $^

$(OUT)/obj/%.o: src/%.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo '  compile $<'
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/obj/%.o: src/%.S $(OUT)/flags
	@mkdir -p $(@D)
	@echo '  compile $<'
	@$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/unit/support/%.o: tests/unit/support/%.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo '  compile $<'
	@$(CC) $(CFLAGS) -Itests/unit -MMD -MP -c -o $@ $<
$(OUT)/unit/%: tests/unit/%.c $(UNIT_SUPPORT) $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) -Itests/unit -MMD -MP -MF $@.d -o $@ $< $(UNIT_SUPPORT) $(LIBRARY) -lcmocka $(LIBRARIES)
# With gcc a fuzz target is linked to replay.c, which feeds it the corpus; with clang to libFuzzer.
$(OUT)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -MMD -MP -MF $@.d -o $@ $< \
		$(if $(filter fuzz,$(MODE)),,tests/fuzz/replay.c) $(LIBRARY) $(LIBRARIES)

# The simulated world: the product's objects, but those that ask the kernel.
SIM_REPLACED = base/clock base/entropy base/log fiber/bell fiber/file fiber/file_at fiber/lane fiber/native fiber/offload \
	fiber/open_file fiber/poll fiber/process fiber/signal net/resolver net/socket net/stream_tls net/tls_client net/tls_socket
SIM_KEPT = $(filter-out $(SIM_REPLACED:%=$(OUT)/obj/%.o),$(OBJECTS))
SIM_OBJECTS := $(patsubst tests/sim/%.c,$(OUT)/sim/%.o,$(wildcard tests/sim/*.c))
SIM_WRAPPED = malloc calloc realloc posix_memalign aligned_alloc strdup free pthread_mutex_init pthread_mutex_destroy \
	pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock socket setsockopt connect send gethostname close
SIM_WRAPS = $(foreach name,$(SIM_WRAPPED),-Wl,--wrap=$(name))
# The world is not what is tested: it shall be quick where the program is not optimised.
SIM_FLAGS = $(if $(filter asan tsan,$(MODE)),-O2)
simulation: $(OUT)/simulation ## the world in a box: see docs/testing.md
$(OUT)/simulation: $(SIM_OBJECTS) $(SIM_KEPT)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) $(SIM_WRAPS) -o $@ $^ $(LIBRARIES)
$(OUT)/sim/%.o: tests/sim/%.c $(OUT)/flags
	@mkdir -p $(@D)
	@echo '  compile $<'
	@$(CC) $(CFLAGS) $(SIM_FLAGS) -fno-lto -Wno-frame-larger-than -Itests/sim -MMD -MP -c -o $@ $<

# What was compiled with other flags, from another list of files or without the header by which
# valgrind is told of stacks is compiled again.
BUILT_FROM = $(CC) $(CFLAGS) $(SOURCES) $(wildcard /usr/include/valgrind/valgrind.h)
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(BUILT_FROM)' | cmp -s - $@ || echo '$(BUILT_FROM)' > $@
FORCE:
$(OUT)/obj/cli/version.o $(OUT)/obj/cli/doctor.o $(OUT)/obj/control/admin_status.o $(OUT)/obj/control/metrics_process.o: EXTRA_CFLAGS += -DWEIR_COMMIT='"$(VERSION)"'

bench-tools: build/bench/load build/bench/origin build/bench/h2_floor build/bench/load_tls build/bench/tls \
	build/bench/balance build/bench/upkeep build/bench/gate build/bench/told build/bench/ledger build/bench/cache_trace build/bench/followers build/bench/turns.so ## what script/bench runs
# It measures the program's own modules.
build/bench/balance: bench/balance.c build/release/libweir.a
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(COMMON) $(OPTIMISED) -o $@ $^ $(LIBRARIES)
ifneq ($(MODE),release)
build/release/libweir.a: FORCE
	@$(MAKE) MODE=release $@
endif
build/bench/%: bench/%.c $(wildcard bench/*.h)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -o $@ $< $(BENCH_LIBRARIES)
build/bench/turns.so: bench/turns.c
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -shared -fPIC -o $@ $<
build/bench/load_tls: BENCH_LIBRARIES = -lssl -lcrypto
# The floor under TLS stands on weir's own fibers.
build/bench/tls: bench/tls.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) -o $@ $^ $(LIBRARIES)

# What it measures are the product's own modules.
build/bench/upkeep build/bench/gate build/bench/told build/bench/cache_trace: build/bench/%: bench/%.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) -o $@ $^ $(LIBRARIES) -lm

# With the lower floors of the product alone.
build/bench/h2_floor: bench/h2_floor.c $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  link    $@'
	@$(CC) $(CFLAGS) -o $@ $< $(LIBRARY) $(LIBRARIES)

check-headers: ## every header compiles alone
	@for header in $(HEADERS); do \
		echo "#include \"$${header#src/}\"" | $(CC) $(CFLAGS) -x c -fsyntax-only - || exit 1; done
format: ## rewrite all C files in the house's layout
	clang-format -i $(wildcard src/*.c src/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch] bench/*.[ch])
check-format:
	@clang-format --dry-run -Werror $(wildcard src/*.c src/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch] bench/*.[ch])
tidy: ## clang-tidy over the sources (slow)
	@printf '%s\n' $(filter %.c,$(SOURCES)) src/main.c | xargs -n 8 -P "$$(nproc)" sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu17 -D_GNU_SOURCE -Isrc -DWEIR_COMMIT=\"\" 2>/dev/null' tidy
clean: ## remove build/
	rm -rf build
help: ## this list
	@echo 'make             the optimised program, build/weir'
	@echo 'make MODE=asan   the same under build/asan (also tsan, paint, fuzz)'
	@echo 'make unit        unit tests of that mode; make fuzzers: fuzz targets'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 17
	@echo 'script/run script/test script/bench script/fuzz: see README.md'

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
