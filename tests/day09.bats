#!/usr/bin/env bats
# Day 9: what is true because there are several threads. That its server does all that day 8's does is shown by
# tests/day09-web.bats, which is day 8's file under another name.

load helpers
load peers

setup() {
	need curl curl
	ROOT=$BATS_TEST_TMPDIR/root
	mkdir "$ROOT"
	printf 'hello, web\n' >"$ROOT/hello.txt"
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' >"$BATS_TEST_TMPDIR/get"
}

teardown() {
	end_servers
}

# cores [OPTION]...: with three threads, unless the options say otherwise.
cores() {
	start_server ./day09/cores --threads 3 "$@" 0 "$ROOT"
	URL=http://127.0.0.1:$PORT
}

fetch() {
	curl -sS --max-time 60 "$@"
}

# ask N: N clients, each of whom gets a file and stays until end_servers.
ask() {
	local log

	log=$(mktemp -p "$BATS_TEST_TMPDIR")
	build/tests/browser crowd "$PORT" "$1" <"$BATS_TEST_TMPDIR/get" >"$log" 3>&- &
	CROWD=$!
	SERVERS+=("$CROWD")
	wait_until grep -q ready "$log"
}

# begin N: N clients that have asked for a file of 20 MB, of which most hasn't been read yet. They are in FDS.
begin() {
	local i

	[ -e "$ROOT/large.bin" ] || head -c 20000000 /dev/urandom >"$ROOT/large.bin"
	printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >"$BATS_TEST_TMPDIR/large"
	FDS=()
	for ((i = 0; i < $1; i++)); do
		exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
		cat "$BATS_TEST_TMPDIR/large" >&"$FD"
		FDS+=("$FD")
	done
	wait_until are_sent_to "$1"
}

are_sent_to() {
	(($(ss -Htn state established "sport = :$PORT" | awk '$2 > 100000' | wc -l) == $1))
}

# sum: of the numbers read, one a line.
sum() {
	awk '{ sum += $1 } END { print sum }'
}

# finish: they get all of it.
finish() {
	local fd readers=()

	for fd in "${FDS[@]}"; do
		tail -c 20000000 <&"$fd" | cmp - "$ROOT/large.bin" &
		readers+=("$!")
	done
	for fd in "${readers[@]}"; do
		wait "$fd"
	done
	abandon
}

abandon() {
	local fd

	for fd in "${FDS[@]}"; do
		exec {fd}>&-
	done
}

threads_of() {
	find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l
}

# printed N: N times all that SIGUSR1 or the end makes it print.
printed() {
	has_lines "$LOG" '^all threads: ' "$1"
}

# connections_of_threads: how many connections each has had, from what was printed last.
connections_of_threads() {
	sed -n '/^thread 0:/h; /^thread 0:/!H; ${g; p}' "$LOG" | sed -n 's/^connections: \([0-9]*\), .*/\1/p'
}

@test "day 9: every thread gets clients" {
	local n least=1000

	cores --threads 4
	ask 200
	kill -USR1 "$PID"
	wait_until printed 1
	[ "$(connections_of_threads | wc -l)" = 4 ]
	for n in $(connections_of_threads); do
		echo "$n clients"
		least=$((n < least ? n : least))
	done
	((least >= 20)) # 50 on average
	stop_clean
}

@test "day 9: as many threads as processors that it may use, or as it is told" {
	[ "${THREAD_SANITIZE:-0}" != 1 ] || skip "that sanitizer has a thread of its own"
	start_server ./day09/cores 0 "$ROOT"
	[ "$(threads_of "$PID")" = "$(nproc)" ]
	stop_clean
	start_server taskset -c 0 ./day09/cores 0 "$ROOT"
	[ "$(threads_of "$PID")" = 1 ]
	stop_clean
	cores --threads 7
	[ "$(threads_of "$PID")" = 7 ]
	stop_clean
}

@test "day 9: SIGUSR1 prints what each thread has counted and the sum; so does the end" {
	local sum

	cores
	ask 30
	kill -USR1 "$PID"
	wait_until printed 1
	[ "$(grep -c '^thread [0-2]:$' "$LOG")" = 3 ]
	grep -x 'all threads: connections: 30, requests: 30, bytes of files: 330' "$LOG"
	[ "$(connections_of_threads | sum)" = 30 ]
	ask 20
	stop_clean
	printed 2
	grep -x 'all threads: connections: 50, requests: 50, bytes of files: 550' "$LOG"
	# In order, and no line of one thread between those of another.
	[ "$(grep -o -e '^thread .' -e '^all' -e '^connections' -e '^requests' "$LOG" | tail -n 10 | tr '\n' ' ')" = \
		'thread 0 connections requests thread 1 connections requests thread 2 connections requests all ' ] || {
		sum=$(tail -n 10 "$LOG")
		echo "$sum"
		false
	}
}

@test "day 9: many SIGUSR1 at once" {
	local i

	cores --threads 8
	for ((i = 0; i < 200; i++)); do
		kill -USR1 "$PID"
	done
	stop_clean
	[ "$(($(lines "$LOG" '^thread [0-7]:$') % 8))" = 0 ]
}

has_taken_its_signals() {
	[ "$(awk '/^ShdPnd:/ { print $2 }' "/proc/$PID/status")" = 0000000000000000 ]
}

counts_again() {
	start_server with_fault threads:80:0 ./day09/cores --threads 3 0 "$ROOT"
	ask 10
	kill -USR1 "$PID"
	wait_until has_taken_its_signals
	kill -USR1 "$PID"
	wait_until printed 2
	[ "$(lines "$LOG" '^all threads: connections: 10, requests: 10,')" = 2 ]
	stop_within TERM "$(within 10000)" # each pass of a thread takes 80 or 160 ms
}

# come_and_go N: servers, one after the other.
come_and_go() {
	local i

	for ((i = 0; i < $1; i++)); do
		cores --threads 8
		stop_clean
	done
}

# one_gets_the_port FOLDER: for what they print.
one_gets_the_port() {
	local pids name

	mkdir "$1"
	cores
	stop_clean
	for name in a b; do
		./day09/cores --threads 4 "$PORT" "$ROOT" >"$1/$name" 2>&1 3>&- &
		pids+=("$!")
	done
	SERVERS+=("${pids[@]}")
	wait_until one_has_ended "${pids[@]}"
	kill "${pids[@]}" 2>/dev/null || true
	wait "${pids[0]}" || true
	wait "${pids[1]}" || true
	[ "$(cat "$1"/* | grep -c '^listening on ')" = 1 ]
	[ "$(cat "$1"/* | grep -c 'Address already in use')" = 1 ]
}

one_has_ended() {
	has_ended "$1" || has_ended "$2"
}

@test "day 9: SIGUSR1 again before every thread has answered: both prints have what all have counted; SIGTERM at once after the start; two servers started at the same time: one gets the port" {
	local counts=(counts_again)

	is_recent || counts=() # the fault needs Linux 6.10
	at_once "${counts[@]}" "come_and_go $(scaled 30)" "come_and_go $(scaled 20)" \
		"one_gets_the_port $BATS_TEST_TMPDIR/"{first,second,third}
}

@test "day 9: SIGTERM under load: every thread sends all that it has begun" {
	cores
	begin 20
	kill -TERM "$PID"
	wait_until is_closed
	finish
	wait_for_end
	[ "$status" = 0 ]
	[ ! -s "$LOG.err" ]
	(($(connections_of_threads | grep -vcx 0) == 3)) # so each thread had some to drain
}

@test "day 9: SIGUSR1 while some threads are drained and others aren't" {
	cores
	begin 1
	kill -TERM "$PID"
	wait_until is_closed
	kill -USR1 "$PID"
	wait_until printed 1
	finish
	wait_for_end
	[ "$status" = 0 ]
	printed 2
}

@test "day 9: a second signal ends it at once, whichever thread still has clients" {
	local i

	for ((i = 0; i < 4; i++)); do
		cores
		begin 1
		kill -TERM "$PID"
		wait_until is_closed
		wait_until ends_when_asked_again
		wait_for_end
		[ "$status" = 143 ]
		abandon
	done
}

ends_when_asked_again() {
	kill -TERM "$PID" 2>/dev/null || true
	has_ended "$PID"
}

# is_refused COMMAND...: a server on a port that another one has.
is_refused() {
	run --separate-stderr timeout 20 "$@" "$PORT" "$ROOT"
	[ "$status" = 1 ]
	[[ $stderr == *"bind: Address already in use"* ]]
}

@test "day 9: a second server is refused, and while the first one drains it isn't" {
	local first

	cores
	first=$PID
	at_once "is_refused ./day09/cores --threads 3" "is_refused ./day08/web"
	begin 3
	kill -TERM "$first"
	wait_until is_closed
	start_server ./day09/cores --threads 3 "$PORT" "$ROOT"
	kill -0 "$first"
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
	finish
	PID=$first
	wait_for_end
	[ "$status" = 0 ]
}

@test "day 9: IPv6: every thread gets clients there, too" {
	local i

	cores --bind ::1 || skip "no IPv6 here"
	for ((i = 0; i < 60; i++)); do
		echo "url = http://[::1]:$PORT/hello.txt"
		echo 'output = /dev/null'
	done >"$BATS_TEST_TMPDIR/urls"
	fetch --fail-early --max-time 10 -H 'Connection: close' -K "$BATS_TEST_TMPDIR/urls"
	stop_clean
	(($(connections_of_threads | grep -vcx 0) == 3))
}

@test "day 9: the memory it prints is day 8's, in each thread; what isn't used costs nothing" {
	local one day8

	start_server ./day08/web --connections 1000 0 "$ROOT"
	day8=$(sed -n 's/^memory: at most \([0-9]* KiB\): .*/\1/p' "$LOG")
	one=$(rss_kib)
	stop_clean
	cores --threads 8 --connections 1000
	[ "$(sed -n 's/^memory: at most \([0-9]* KiB\): .* in each thread$/\1/p' "$LOG")" = "$day8" ]
	echo "resident: $one KiB on day 8, $(rss_kib) KiB with 8 threads"
	sanitized || (($(rss_kib) < one + 8 * 200))
	stop_clean
}

@test "day 9: each thread has --connections for itself; where open files are short, each has fewer" {
	start_server bash -c 'ulimit -n 2000; exec ./day09/cores --threads 4 --connections 5000 0'
	grep -Ex 'connections: [0-9]+ instead of 5000 .*' "$LOG"
	(($(sed -n 's/^connections: \([0-9]*\) instead.*/\1/p' "$LOG") == (2000 - 64 - 2 * 4) / 4)) # a file for each, and what the threads need
	stop_clean
}

@test "day 9: a message that fails for the moment is sent again" {
	is_recent || skip "the fault needs Linux 6.10"
	for fault in MSG_RING:ENOMEM:1 MSG_RING:ENOMEM:2 MSG_RING:EAGAIN:3 MSG_RING:ENOMEM:5 MSG_RING:ENOMEM:8; do
		start_server with_fault "$fault" ./day09/cores --threads 3 0 "$ROOT"
		kill -USR1 "$PID"
		wait_until printed 1
		stop_clean
		has_happened
		printed 2
	done
}

@test "day 9: a message that can't be sent, a thread that can't be started: it says so and ends" {
	need_strace
	is_recent || skip "the fault needs Linux 6.10"
	start_server with_fault MSG_RING:EBADFD:1 ./day09/cores --threads 3 0 "$ROOT"
	kill -TERM "$PID"
	wait_for_end
	[ "$status" = 1 ]
	grep 'a message to thread 0: File descriptor in bad state' "$LOG.err"

	sanitized && skip "the sanitizers start threads of their own"
	run injected clone,clone3 error=EAGAIN:when=2+ ./day09/cores --threads 3 0 "$ROOT"
	[ "$status" = 1 ]
	[[ $output == *'pthread_create: Resource temporarily unavailable'* ]]
}

@test "day 9: nothing that two threads use at once, says ThreadSanitizer" {
	local flags=(-std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=thread -I.) i

	sanitized && skip "one sanitizer at a time"
	# shellcheck disable=SC2046 # flags
	"${CC:-cc}" "${flags[@]}" $(pkg-config --cflags liburing) day09-cores/cores.c common/*.c \
		$(pkg-config --libs liburing) -o "$BATS_TEST_TMPDIR/cores" 2>"$BATS_TEST_TMPDIR/cc" ||
		skip "no ThreadSanitizer here: $(head -n 1 "$BATS_TEST_TMPDIR/cc")"
	start_server "$BATS_TEST_TMPDIR/cores" --threads 3 --log 0 "$ROOT"
	URL=http://127.0.0.1:$PORT
	begin 9
	ask 50
	for ((i = 0; i < 10; i++)); do
		kill -USR1 "$PID"
		ask 5
	done
	kill -TERM "$PID"
	kill -USR1 "$PID"
	finish
	wait_for_end
	[ "$status" = 0 ]
	[ ! -s "$LOG.err" ]
}

@test "day 9: balance: one thread gets all from one listener; the others are as it says" {
	local row

	./day09/balance >"$BATS_TEST_TMPDIR/balance"
	cat "$BATS_TEST_TMPDIR/balance"
	[ "$(grep -o '[0-9]\+' <<<"$(grep multishot "$BATS_TEST_TMPDIR/balance")" | sort -n | uniq -c | awk '{ print $2 "x" $1 }' |
		paste -sd' ')" = '0x7 100x1' ]
	[ "$(grep -o '[0-9]\+' <<<"$(grep 'hands them' "$BATS_TEST_TMPDIR/balance")" | sort -u | paste -sd' ')" = '12 13' ]
	row=$(grep 'for each ring' "$BATS_TEST_TMPDIR/balance")
	[ "$(grep -o '[0-9]\+' <<<"$row" | grep -cvx 0)" = 8 ]
	while read -r row; do
		[ "$(grep -o '[0-9]\+' <<<"$row" | sum)" = 100 ]
	done <"$BATS_TEST_TMPDIR/balance"
	./day09/balance --threads 3 --clients 10 | grep -x 'one thread hands them over  *4  *3  *3'
	refuses ./day09/balance x
}

# cqes MESSAGE: of that one, in rings whose requests have not caused them.
cqes() {
	lines "$BATS_TEST_TMPDIR/trace" "CQE .* = 0  user_data $1  \\(msg_ring of ring"
}

@test "day 9: what crosses at the end, as the lesson draws it: STOP to all, DRAINED from all to all" {
	local reader other

	start_server ./ringtrace -o "$BATS_TEST_TMPDIR/trace" ./day09/cores --threads 2 0 "$ROOT"
	kill -TERM "$PID"
	wait_until has_ended "$PID"
	cat "$BATS_TEST_TMPDIR/trace"
	[ "$(cqes 0xc00000000)" = 2 ] # as the lesson names it
	[ "$(cqes 0xd00000000)" = 4 ]
	# Either thread may be the first to open its ring.
	reader=$(sed -n 's/.* ring \([12]\)  CQE  read     = 128 .*/\1/p' "$BATS_TEST_TMPDIR/trace")
	other=$((3 - reader))
	[ "$(lines "$BATS_TEST_TMPDIR/trace" "ring $reader  SQE  msg_ring .* user_data 0xc00000000")" = 2 ]
	[ "$(lines "$BATS_TEST_TMPDIR/trace" "ring $other  CQE .* user_data 0xc00000000  \\(msg_ring of ring $reader\\)")" = 1 ]
}

@test "day 9: bad usage" {
	refuses ./day09/cores 1 2 3
	refuses ./day09/cores --threads 0
	refuses ./day09/cores --threads 1025
	run --separate-stderr timeout 10 ./day09/cores 0 /nonexistent
	[ "$status" = 1 ]
	[[ $stderr == *"/nonexistent"*"No such file or directory"* ]]
}
