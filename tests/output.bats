#!/usr/bin/env bats
# No output stops or ends a server: standard output and standard error that nobody reads, that are gone, closed,
# full, or a terminal.

load helpers

SERVER_PROGRAMS=(day03/accept day03/poll-accept day04/event-loop day05/echo day06/deadlines day07/proxy day08/web
	day09/cores bench/epoll-echo)

setup() {
	FIFO=$BATS_TEST_TMPDIR/fifo
}

teardown() {
	end_servers
}

# serve_to PROGRAM FILE [COMMAND]...: starts the server, on a port that is free, with FILE as its standard output,
# which need not be one that can be read. The command runs the server.
serve_to() {
	local upstream=()

	if [[ $1 == day07/* ]]; then
		start_server ./day06/deadlines 0
		upstream=("127.0.0.1:$PORT")
	fi
	free_port
	LOG=$BATS_TEST_TMPDIR/served
	"${@:3}" "./$1" "$PORT" "${upstream[@]}" >"$2" 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until answers "$1"
}

# answers PROGRAM: a client gets from the server started last what the program is for, and nothing else.
answers() {
	case $1 in
	day03/*) [ "$(timeout 10 socat -u "TCP:127.0.0.1:$PORT" - 2>&1)" = "" ] ;;
	day04/*) [ "$(echo hello | timeout 10 socat -t 10 - "TCP:127.0.0.1:$PORT" 2>&1)" = "ack 6" ] ;;
	day0[89]/*) request | timeout 10 socat -t 10 - "TCP:127.0.0.1:$PORT" 2>&1 | grep -q "^Content-Length: $(wc -c <LICENSE)" ;;
	*) [ "$(echo hello | timeout 10 socat -t 10 - "TCP:127.0.0.1:$PORT" 2>&1)" = hello ] ;;
	esac
}

request() {
	printf 'GET /LICENSE HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n'
}

# ends PROGRAM: on SIGTERM, and with the status that a signal gives it.
ends() {
	local expected=0

	stop_server TERM
	[[ $1 != day03/* ]] || expected=143
	((status == expected))
}

# Makes $FIFO a pipe with no room left, which nobody reads.
fill_fifo() {
	mkfifo "$FIFO"
	exec {FD}<>"$FIFO"
	dd if=/dev/zero of="$FIFO" bs=4096 oflag=nonblock status=none 2>/dev/null || true
}

empty_fifo() {
	dd if="$FIFO" of="$BATS_TEST_TMPDIR/read" bs=64K iflag=nonblock status=none 2>/dev/null || true
}

@test "every program that listens calls output_open() first of all, and no other than output.c ignores SIGPIPE" {
	local source

	while read -r source; do
		echo "$source"
		[ "$(sed -n '/^int main(/,$p' "$source" | grep -E '^	[a-z_]+\(' | head -n 1)" = '	output_open();' ]
	done < <(grep -l 'listener_open(' day*/*.c bench/*.c)
	[ "$(grep -l 'signal(SIGPIPE' common/*.c)" = common/output.c ]
}

@test "standard error is a pipe that nobody reads, and an accept fails: the server serves on, and ends on SIGTERM" {
	local program

	fill_fifo
	for program in day04/event-loop day05/echo day06/deadlines; do
		start_server with_fault ACCEPT:EMFILE:1 bash -c 'exec "${@:2}" 2>"$1"' bash "$FIFO" "./$program" 0
		answers "$program"
		has_happened
		ends "$program"
	done
	start_server bash -c 'exec "${@:2}" 2>"$1"' bash "$FIFO" ./day03/poll-accept 0
	prlimit --pid "$PID" --nofile=3:1024
	timeout 30 socat -u "TCP:127.0.0.1:$PORT" - 3>&- &
	SERVERS+=("$!")
	sleep 0.3 # it fails each tenth of a second
	# There is room again. The next failure is written, and before it how many there were.
	empty_fifo
	read -r -t 20 line <&"$FD"
	[[ "$line" =~ ^"(nobody read this output: "[1-9][0-9]*" lines are missing here)"$ ]]
	read -r -t 20 line <&"$FD"
	[ "$line" = "./day03/poll-accept: accept4: Too many open files" ]
	prlimit --pid "$PID" --nofile=1024:1024
	wait "${SERVERS[-1]}"
	ends day03/poll-accept
	exec {FD}>&-
}

@test "whoever read the output is gone: that is said once, and the server serves on" {
	local program

	mkfifo "$FIFO"
	for program in "${SERVER_PROGRAMS[@]}"; do
		head -n 1 <"$FIFO" >/dev/null 3>&- &
		SERVERS+=("$!")
		serve_to "$program" "$FIFO"
		wait "${SERVERS[-2]}"
		answers "$program"
		answers "$program"
		[[ $program != day0[4-6]/* ]] || kill -USR1 "$PID"
		answers "$program"
		ends "$program"
		[[ $program == bench/* ]] || [ "$(<"$LOG.err")" = "./$program: standard output: Broken pipe" ]
	done
}

@test "the output has reached the limit on a file's size: that is said once, and the server serves on" {
	local program

	for program in "${SERVER_PROGRAMS[@]}"; do
		: >"$BATS_TEST_TMPDIR/limited"
		serve_to "$program" "$BATS_TEST_TMPDIR/limited" prlimit --fsize=150
		for _ in 1 2 3 4 5 6; do
			answers "$program"
			[[ $program != day0[4-9]/* ]] || kill -USR1 "$PID"
		done
		answers "$program"
		ends "$program"
		[[ $program == bench/* ]] || [ "$(<"$LOG.err")" = "./$program: standard output: File too large" ]
	done
}

@test "a full disk: that is said once, also where standard error is on it, and the server serves on" {
	local program

	for program in "${SERVER_PROGRAMS[@]}"; do
		serve_to "$program" /dev/full
		ends "$program"
		[ "$(<"$LOG.err")" = "./$program: standard output: No space left on device" ]
		serve_to "$program" /dev/full bash -c 'exec "$@" 2>/dev/full' bash
		answers "$program"
		ends "$program"
	done
}

@test "standard input, output and error are closed: no client gets what is printed, and the server serves on" {
	local program

	for program in "${SERVER_PROGRAMS[@]}"; do
		serve_to "$program" /dev/null bash -c 'exec "$@" <&- >&- 2>&-' bash
		answers "$program"
		[ "$(readlink "/proc/$PID/fd/1")" = /dev/null ]
		[ "$(readlink "/proc/$PID/fd/2")" = /dev/null ]
		answers "$program"
		ends "$program"
	done
}

@test "a terminal that is not read, and one that is stopped: the server serves on, whatever the next line finds there" {
	local program terminal=$BATS_TEST_TMPDIR/terminal

	socat PTY,link="$terminal" - >/dev/null 3>&- &
	SERVERS+=("$!")
	wait_until [ -e "$terminal" ]
	for program in day03/accept day03/poll-accept; do
		serve_to "$program" "$terminal"
		kill -STOP "${SERVERS[0]}"
		# Far more than a terminal holds.
		run -0 timeout 20 build/tests/connect --count "$(one_by_one 5000)" "$PORT"
		answers "$program"
		ends "$program"
		kill -CONT "${SERVERS[0]}"
	done
	[ ! -s "$LOG.err" ]
}

@test "a background job of a terminal with stty tostop: its output does not stop it" {
	command -v script >/dev/null || skip "needs script (package bsdutils)"
	free_port
	# shellcheck disable=SC2016 # for the inner shell
	timeout 20 script -qec "bash -mc 'stty tostop; ./day03/accept --count 2 $PORT & wait; [ -z \"\$(jobs -s)\" ]'" \
		/dev/null </dev/null >"$BATS_TEST_TMPDIR/typescript" 2>&1 3>&- &
	SERVERS+=("$!")
	wait_until build/tests/connect "$PORT"
	timeout 10 build/tests/connect "$PORT"
	wait "${SERVERS[-1]}"
	grep -q 'connections: 2' "$BATS_TEST_TMPDIR/typescript"
}

@test "the output is a socket that nobody reads, as a journal may be: the server serves on" {
	free_port
	socat -u EXEC:"./day03/accept $PORT" - >/dev/null 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until answers day03/accept
	pause_server
	run -0 timeout 20 build/tests/connect --count "$(one_by_one 3000)" "$PORT"
	answers day03/accept
}

@test "two servers that share a pipe which nobody reads: neither waits for the other's line" {
	fill_fifo
	empty_fifo
	serve_to day03/accept "$FIFO"
	local first=$PORT
	serve_to day03/poll-accept "$FIFO"
	timeout 20 build/tests/connect --count "$(one_by_one 3000)" "$first" 3>&- &
	SERVERS+=("$!")
	run -0 timeout 20 build/tests/connect --count "$(one_by_one 3000)" "$PORT"
	wait "${SERVERS[-1]}"
	exec {FD}>&-
}

@test "lines of several threads stay whole, none is lost, and nothing is shared without care" {
	local flags=()

	build/tests/house lines 4 500 >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	[ "$(lines "$BATS_TEST_TMPDIR/out" '^[a-d]: line [0-9]+ of its own$')" -eq 2000 ]
	[ "$(lines "$BATS_TEST_TMPDIR/err" '^build/tests/house: [a-d]: line [0-9]+ of its own$')" -eq 2000 ]
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/out")" = "mapped: 0" ] # by the main thread; the others have counted their own

	echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/empty.c"
	gcc -fsanitize=thread "$BATS_TEST_TMPDIR/empty.c" -o "$BATS_TEST_TMPDIR/empty" && "$BATS_TEST_TMPDIR/empty" ||
		skip "gcc has no thread sanitizer here"
	gcc -fsanitize=thread -g -std=gnu11 -D_GNU_SOURCE -I. tests/house.c common/{output,memory,descriptors}.c \
		-o "$BATS_TEST_TMPDIR/house"
	run --separate-stderr "$BATS_TEST_TMPDIR/house" lines 4 200
	[ "$status" -eq 0 ]
	[[ "$stderr" != *ThreadSanitizer* ]]
}
