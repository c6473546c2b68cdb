# What the tests share: servers that are started, waited for and ended by their process id.

# What the messages of programs look like, and numbers in them, depends on the locale.
export LC_ALL=C

# bats_is_too_old: one line that says so, and the end of bats, before it says as much of each test. What is
# written to descriptor 3 passes every version by.
bats_is_too_old() {
	local line="# The tests need bats 1.7 or later, this is ${BATS_VERSION:-older}: git clone https://github.com/bats-core/bats-core, then bats-core/bin/bats tests"

	trap - DEBUG ERR EXIT
	{ echo "$line" >&3; } 2>/dev/null || echo "$line" >&2
	kill "$PPID"
	exit 1
}

declare -F bats_require_minimum_version >/dev/null || bats_is_too_old
bats_require_minimum_version 1.7.0

cd "$BATS_TEST_DIRNAME/.." || exit 1

SERVERS=()

# start_server COMMAND [ARG]... 0: starts a server on a free port and waits until it listens. Sets PID,
# PORT, and LOG, the file that gets its standard output; its standard error goes to $LOG.err.
start_server() {
	LOG=$BATS_TEST_TMPDIR/server.$BASHPID.${#SERVERS[@]}
	: >"$LOG"
	"$@" >"$LOG" 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until listens
	PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$LOG")
}

listens() {
	if ! kill -0 "$PID"; then
		cat "$LOG" "$LOG.err"
		return 1
	fi
	grep -q '^listening on ' "$LOG"
}

# wait_until COMMAND [ARG]...: tries the command until it succeeds, and fails after 20 seconds. Most of what is
# waited for, such as a server that listens, takes a few milliseconds: the first pauses are short.
wait_until() {
	local deadline=$((SECONDS + 20)) pauses=(0.002 0.004 0.008)

	until "$@"; do
		if ((SECONDS >= deadline)); then
			echo "gave up waiting for: $*"
			return 1
		fi
		sleep "${pauses[0]:-0.02}"
		pauses=("${pauses[@]:1}")
	done
}

# side_by_side MOST FUNCTION ARG...: calls the function with each of the arguments, so many at a time at most, each call in
# a process of its own. Fails when a call fails. For what mostly waits: together it takes as long as the longest. Programs
# that check themselves don't wait, but work: two at a time.
side_by_side() {
	local most=$1 calls worker workers=() failed=0

	! sanitized || most=2
	calls=$(mktemp -d "$BATS_TEST_TMPDIR/calls.XXXXXX")
	while ((${#workers[@]} < most)); do
		take_calls "$calls" "${@:2}" 3>&- &
		workers+=("$!")
	done
	# All have ended before the test does: otherwise one could start a server after its teardown.
	for worker in "${workers[@]}"; do
		wait "$worker" || failed=1
	done
	tail -n +1 -q "$calls"/*/output
	return "$failed"
}

# take_calls FOLDER FUNCTION ARG...: makes those of the calls that no other process has taken yet, up to the first that
# fails. What one prints stays together, and ends with a word if it has passed.
take_calls() {
	local call

	for ((call = 3; call <= $#; call++)); do
		if mkdir "$1/$call" 2>/dev/null; then
			echo "---- $2 ${!call}" >"$1/$call/output"
			("$2" "${!call}") >>"$1/$call/output" 2>&1
			echo "---- passed" >>"$1/$call/output"
		fi
	done
}

two_at_a_time() {
	side_by_side 2 "$@"
}

# at_once COMMAND...: runs them four at a time; each is one word of several, a function and its arguments.
at_once() {
	side_by_side 4 run_words "$@"
}

run_words() {
	# shellcheck disable=SC2086 # several words
	$1
}

# stop_server SIGNAL: ends the server started last and leaves its exit status in `status`.
stop_server() {
	kill -s "$1" "$PID"
	status=0
	wait "$PID" || status=$?
}

# is_in_state LETTER PID: as /proc/PID/status says: S sleeps, T is stopped, Z is a zombie.
is_in_state() {
	grep -q "^State:[[:space:]]*$1" "/proc/$2/status"
}

has_ended() {
	[ ! -e "/proc/$1" ] || is_in_state Z "$1"
}

# pause_server: what peers do from here on waits for the server, until kill -CONT.
pause_server() {
	kill -STOP "$PID"
	wait_until is_in_state T "$PID"
}

# Every test file calls this from its teardown, so that no process outlives its test: neither the servers,
# nor what strace or a shell has started for it and did not end.
end_servers() {
	local pid

	for pid in "${SERVERS[@]}" $(stragglers); do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# What this test has started has the test's folder in its environment.
stragglers() {
	grep -lszxF "BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR" /proc/[0-9]*/environ | tr -dc '0-9\n'
}

# lines FILE PATTERN: how many lines of the file match the extended regular expression.
lines() {
	grep -Ec -- "$2" "$1" || true
}

has_lines() {
	(($(lines "$1" "$2") == $3))
}

# descriptors_of PID: how many file descriptors the process has open.
descriptors_of() {
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

sanitized() {
	[ "${SANITIZE:-0}" = 1 ] || [ "${THREAD_SANITIZE:-0}" = 1 ]
}

# is_recent: the kernel is Linux 6.14 or later.
is_recent() {
	./day01/probe | grep -Eq '^ *RW_ATTR +yes'
}

# one_by_one N: N clients or rounds of them that come one after the other, or 12 where the kernel
# releases a direct descriptor late (common/ring.h): each then waits a second until it hears of its end.
one_by_one() {
	is_recent && echo "$1" || echo 12
}

need_strace() {
	command -v strace >/dev/null || skip "needs strace (package strace)"
}

# injected SYSCALL HOW COMMAND [ARG]...: runs the command with system calls that strace falsifies; HOW
# is what strace(1) calls a tampering, such as error=EPERM:when=1. LeakSanitizer needs ptrace(2) for
# itself and has to be off then. For `run` and start_server: it takes the place of the shell it is in.
injected() {
	exec env ASAN_OPTIONS=detect_leaks=0 timeout 30 strace -f -qqq -o "$BATS_TEST_TMPDIR/strace" -e "trace=$1" \
		-e "inject=$1:$2" "${@:3}"
}

# with_fault FAULT COMMAND [ARG]...: runs the command with a fault in its use of the ring, as tests/inject.c
# names it; has_happened then says whether it was there. For `run` and start_server, like injected.
with_fault() {
	exec env INJECT="$1" INJECTED="$BATS_TEST_TMPDIR/injected" LD_PRELOAD=./build/tests/inject.so \
		ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "${@:2}"
}

# with_two_faults FAULT FAULT COMMAND [ARG]...: the same with two.
with_two_faults() {
	INJECT_ALSO=$2 with_fault "$1" "${@:3}"
}

has_happened() {
	[ -e "$BATS_TEST_TMPDIR/injected" ] && rm "$BATS_TEST_TMPDIR/injected"
}

# free_port: sets PORT to that of a server that has ended: nobody listens there.
free_port() {
	start_server ./day03/accept --count 1 0
	build/tests/connect "$PORT"
	wait "$PID"
}

# in_a_hurry COMMAND [ARG]...: runs the command with what it sets in seconds for its sockets divided by 60,
# see tests/hurry.c. For `run` and start_server, like injected.
in_a_hurry() {
	exec env LD_PRELOAD=./build/tests/hurry.so ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$@"
}

# need_locale NAME: makes that locale, such as de_DE, and lets programs find it.
need_locale() {
	[ -e "/usr/share/i18n/locales/$1" ] || skip "needs the definition of $1 (package locales)"
	mkdir -p "$BATS_TEST_TMPDIR/locales"
	localedef -i "$1" -f UTF-8 "$BATS_TEST_TMPDIR/locales/$1.UTF-8"
	export LOCPATH=$BATS_TEST_TMPDIR/locales
}
