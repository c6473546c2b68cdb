#!/usr/bin/env bats
# The benchmark's programs are right; how fast anything is, no test asserts.
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and meant to be

load helpers
load peers

teardown() {
	end_servers
}

# --- bench/epoll-echo: tests/bench-conformance.bats has what it shares with day 5 ---

start_epoll_echo() {
	start_server bench/epoll-echo "$@" 0
}

cpu_ticks_of() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

@test "epoll-echo, load, ring-ops and run: --help goes to standard output" {
	local program

	for program in epoll-echo load ring-ops run; do
		run -0 --separate-stderr "bench/$program" --help
		[[ ${lines[0]} == "Usage: bench/$program"* ]]
		[ -z "$stderr" ]
	done
}

@test "epoll-echo, load, ring-ops and run: wrong usage is status 2 and says what is wrong" {
	local wrong

	for wrong in 'epoll-echo 70000' 'epoll-echo --connections 0' 'epoll-echo 1 2' 'epoll-echo --none' \
		'load --connections 0' 'load --size x' 'load --stream --connect' 'load --in-flight 0' \
		'load --duration 1' 'load --duration 100 --count 5' 'load --size 0' \
		'load --stream --in-flight 2' 'load --reply' 'load --idle 5 --reply x' 'load --idle 5 --hogs 5' \
		'ring-ops 1' 'ring-ops --duration 0' 'run --rounds 0' 'run --cpus 1' 'run --none' 'run --only' \
		'run --only typo' 'run --only stream,typo' 'run --vs x --only growth' 'run x'; do
		# shellcheck disable=SC2086 # a command and its arguments
		run -2 --separate-stderr bench/$wrong
		[ -n "$stderr" ]
		[ -z "$output" ]
	done
}

@test "epoll-echo, load and ring-ops: output that cannot be written is status 1" {
	local command

	start_epoll_echo
	for command in 'epoll-echo --help' "load --count 1 $PORT" "load --idle 2 $PORT" 'ring-ops --duration 10'; do
		# shellcheck disable=SC2086 # a command and its arguments
		run -1 --separate-stderr full timeout 20 bench/$command
		[[ $stderr == *': standard output: '* ]]
	done
}

# full COMMAND...: its standard output is a full disk, its standard input ends at once.
full() {
	"$@" </dev/null >/dev/full
}

@test "epoll-echo: ends with status 0 at SIGTERM and SIGINT, and its port is free at once" {
	local port

	start_epoll_echo
	port=$PORT
	run -0 bench/load --count 100 --connections 10 "$port"
	stop_server TERM
	[ "$status" -eq 0 ]

	bench/epoll-echo "$port" >"$BATS_TEST_TMPDIR/again" 3>&- &
	PID=$! LOG=$BATS_TEST_TMPDIR/again
	SERVERS+=("$PID")
	wait_until listens
	stop_server INT
	[ "$status" -eq 0 ]
}

@test "epoll-echo: serves IPv6" {
	[ -e /proc/net/if_inet6 ] || skip "no IPv6 here"
	start_epoll_echo --bind ::1
	grep -q '^listening on \[::1\]:' "$LOG"
	run -0 bench/load --host ::1 --count 100 "$PORT"
}

@test "epoll-echo: a peer that half-closes gets all its bytes, through socat" {
	start_epoll_echo
	head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	socat -t 60 - "TCP:127.0.0.1:$PORT" <"$BATS_TEST_TMPDIR/sent" >"$BATS_TEST_TMPDIR/received"
	cmp "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/received"
}

is_idle() {
	local before

	before=$(cpu_ticks_of "$PID")
	sleep 0.5
	(($(cpu_ticks_of "$PID") - before <= 1))
}

@test "epoll-echo: bytes that are first read after the signal do not delay the end" {
	local begin

	start_epoll_echo
	pause_server
	exec 9<>"/dev/tcp/127.0.0.1/$PORT"
	printf abc >&9
	kill -TERM "$PID"
	begin=$(now_ms)
	kill -CONT "$PID"
	wait_for_end
	((status == 0 && $(now_ms) - begin <= $(within 1000)))
	[ "$(timeout 10 cat <&9)" = abc ]
	exec 9>&-
}

@test "epoll-echo: receives as much at a time as day 5's buffers hold, or as it is told" {
	need_strace
	receives_at_a_time 65536
	receives_at_a_time 16384 --buffer-size 16384
}

# receives_at_a_time BYTES [OPTION]... With -D the server itself is our child, and strace is not.
receives_at_a_time() {
	local trace=$BATS_TEST_TMPDIR/trace.$1

	start_server strace -D -o "$trace" -e trace=recvfrom bench/epoll-echo "${@:2}" 0
	timeout 10 bench/load --count 1 "$PORT"
	stop_server TERM
	wait_until grep -q '^recvfrom(.*, '"$1"', 0, NULL, NULL) = 64$' "$trace"
}

# hold KIND N: idle peers or hogs, as long as standard input, a pipe that stays open, does not end.
hold() {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	bench/load "--$1" "$2" "$PORT" <"$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/held" 3>&- &
	HOLDER=$!
	SERVERS+=("$HOLDER")
	exec 9>"$BATS_TEST_TMPDIR/fifo"
	wait_until grep -q "^holding $2 " "$BATS_TEST_TMPDIR/held"
}

release() {
	exec 9>&-
	wait "$HOLDER"
}

first_free_descriptor_of() {
	local fd=0

	while [ -e "/proc/$1/fd/$fd" ]; do
		fd=$((fd + 1))
	done
	echo "$fd"
}

@test "epoll-echo: without descriptors left it waits for some, and does not spin" {
	start_epoll_echo
	prlimit --pid "$PID" --nofile="$(first_free_descriptor_of "$PID"):"
	bench/load --count 1000 --connections 10 "$PORT" >"$BATS_TEST_TMPDIR/load" 3>&- &
	SERVERS+=($!)
	wait_until is_idle
	[ ! -s "$BATS_TEST_TMPDIR/load" ]
	prlimit --pid "$PID" --nofile=100:
	wait $!
}

@test "epoll-echo: a hard limit below what was asked for is said" {
	bash -c 'ulimit -n 64; exec bench/epoll-echo --connections 100 0' >"$BATS_TEST_TMPDIR/out" \
		2>"$BATS_TEST_TMPDIR/err" 3>&- &
	PID=$! LOG=$BATS_TEST_TMPDIR/out
	SERVERS+=("$PID")
	wait_until listens
	grep -q 'the hard limit on descriptors allows 48 connections' "$BATS_TEST_TMPDIR/err"
}

# --- bench/load ---

@test "load: every kind of load passes on a server that is right" {
	local options

	start_epoll_echo
	for options in '--size 1' '--connections 200 --size 512' '--connections 10 --in-flight 16' \
		'--connections 5 --size 1000000' '--connections 5 --stream' '--connections 20 --connect' \
		'--connections 5 --connect --size 200000' '--warm-up 50 --in-flight 3 --size 70000' \
		'--size 2 --in-flight 100'; do
		# shellcheck disable=SC2086 # several options
		run -0 bench/load --duration 100 $options "$PORT"
		[[ $output == *'every byte compared'* ]]
	done
	stop_server TERM
	[ "$status" -eq 0 ]
}

@test "load: --count sends as many messages, whatever else is asked for" {
	local options

	start_epoll_echo
	for options in '' '--connections 7' '--connections 30 --in-flight 5' '--stream' '--connect' \
		'--connections 300 --count 20'; do
		# shellcheck disable=SC2086 # several options
		run -0 bench/load --values --count 20 $options "$PORT"
		[[ $output == *$'\nmessages=20\n'* && $output == *$'\ntotal=20\n'* ]]
	done
}

@test "load: --values prints name=value lines, percentiles in order" {
	start_epoll_echo
	run -0 bench/load --values --server "$PID" --count 5000 --connections 10 --size 100 "$PORT"
	(($(grep -Evc '^[a-z0-9._]+=[0-9]+(\.[0-9]+)?$' <<<"$output") == 0))
	[[ $output == *$'\nbytes=500000\n'* && $output == *$'\nserver_ns_per_message='* ]]
	awk -F= '/_us=/ { if ($2 < last || $2 <= 0) exit 1; last = $2; count++ }
		END { if (count != 5) exit 1 }' <<<"$output"
}

@test "load: --idle holds its connections until standard input ends" {
	start_epoll_echo
	hold idle 100
	(($(descriptors_of "$PID") >= 100))
	release
	run -0 bench/load --values --server "$PID" --idle 50 "$PORT" </dev/null
	[[ ${lines[0]} == connections=50 && ${lines[1]} == server_bytes=* ]]
}

@test "load: --hogs are stuck, keep the server's bytes, and harm nobody" {
	start_epoll_echo
	hold hogs 20
	wait_until is_idle
	(($(ss -Htn state established "dport = :$PORT" | awk '$1 > 0' | wc -l) == 20))
	run -0 bench/load --count 100 --stream "$PORT"
	release
}

@test "load: a measurement lasts until there is something to measure" {
	start_epoll_echo
	run -0 bench/load --values --size 100000000 --duration 10 "$PORT"
	[[ $output == *$'\nmessages=1\n'* ]]
}

@test "load: --reply expects another answer than the message" {
	start_server day04/event-loop 0
	run -0 bench/load --size 64 --reply $'ack 64\n' --connections 20 --count 1000 "$PORT"
	run -1 bench/load --size 64 --reply $'ack 65\n' --count 10 "$PORT"
	[[ $output == *'other bytes than it should'* ]]
}

@test "load: --connect --size 0 waits for a server that closes" {
	start_server day03/accept 0
	run -0 bench/load --connect --size 0 --connections 10 --count 500 "$PORT"
	[[ $output == '500 connections '* ]]
}

# expect_failure FAULT MESSAGE: with messages and streaming, each on a server with that fault.
expect_failure() {
	FAULT=$1 MESSAGE=$2
	side_by_side 3 fails '--connections 2 --size 64' '--connections 2 --stream' '--connections 2 --size 4096'
}

# fails OPTIONS: which are one word of several.
fails() {
	start_server build/tests/broken-echo "$FAULT" 0
	# shellcheck disable=SC2086 # several options
	run -1 --separate-stderr bench/load --stall 1 --duration 200 $1 "$PORT"
	[ -z "$output" ]
	[[ $stderr =~ $MESSAGE ]]
}

@test "load: another value of one byte is a failure" {
	expect_failure corrupt 'other bytes than it should .* 1032 came back in order'
}

@test "load: blocks in another order are a failure" {
	expect_failure reorder 'other bytes than it should .* 1024 came back in order'
}

@test "load: a block that comes twice is a failure" {
	expect_failure repeat '(other bytes|more) than it should'
}

@test "load: a block that gets lost is a failure" {
	expect_failure lose '(other bytes than it should|stalls)'
}

@test "load: another connection's bytes are a failure" {
	expect_failure cross 'other bytes than it should .* 0 came back in order'
}

@test "load: bytes after the last are a failure" {
	expect_failure extra 'more than it should'
}

@test "load: a server that closes early is a failure" {
	expect_failure close 'the server closed it early'
}

@test "load: a server that stalls is a failure" {
	expect_failure stall 'the server stalls'
}

@test "load: a server that dies or is not there is a failure" {
	expect_failure crash 'the server closed it early|no server listens there'
	free_port
	run -1 bench/load --count 1 "$PORT"
	[[ $output == *'no server listens there'* ]]
	run -1 bench/load --connect --count 1 "$PORT"
}

# finds_it_stalling [OPTION]...
finds_it_stalling() {
	run -1 bench/load --stall 1 "$@" --count 1 "$PORT"
	[[ $output == *'the server stalls'* ]]
}

@test "load: a server that never accepts is a failure" {
	start_epoll_echo --connections 1
	hold idle 1
	at_once finds_it_stalling "finds_it_stalling --connect"
	release
}

# --- bench/ring-ops and bench/run ---

@test "ring-ops: prints a rate for every way" {
	run -0 bench/ring-ops --duration 10 --values
	((${#lines[@]} == 6))
	(($(grep -Ec '^[a-z0-9_]+=[1-9][0-9]*$' <<<"$output") == 6))
}

bench_run() {
	bench/run --quick --rounds 1 --round-ms 50 --results "${RESULTS:-$BATS_TEST_TMPDIR/results}" "$@"
}

# measured LOADS: into results of its own. As many connections as there are descriptors for: 8,000 idle ones, and
# up to 10,000 busy ones, take long.
measured() {
	ulimit -n 1300
	bench_run --round-ms 20 --results "$BATS_TEST_TMPDIR/${1%%,*}" --only "$1"
}

# The hogs mostly wait until they are stuck.
@test "run: a short run measures everything that the table shows" {
	local results name all

	all=$(bench/run --help | sed -n 's/.*--only NAME,... *only these: //p' | tr ' ' ,)
	two_at_a_time measured hogs-64,hogs-1000 "${all/,hogs-64,hogs-1000/}"
	for results in "$BATS_TEST_TMPDIR"/{hogs-64,requests-50}; do
		awk -F, 'NF != 14 { exit 1 }' "$results/summary.csv"
		grep -q '^kernel: Linux' "$results/machine.txt"
		! unshare --net true || grep -q '^network: of its own, congestion control: reno$' "$results/machine.txt"
	done
	cat "$BATS_TEST_TMPDIR"/*/samples.csv >"$BATS_TEST_TMPDIR/samples.csv"
	for name in requests-50 requests-500 latency pipeline large stream connect stream-4 hogs-64 hogs-1000; do
		(($(grep -Ec "^$name,1,(epoll|io_uring),messages_per_s,[1-9]" "$BATS_TEST_TMPDIR/samples.csv") == 2))
	done
	(($(grep -c '^idle,1,.*,server_bytes,' "$results/samples.csv") == 2))
	(($(grep -c '^days,1,.*,operations_per_s,' "$results/samples.csv") == 6))
	(($(grep -c '^day3,1,.*,messages_per_s,' "$results/samples.csv") == 2))
	(($(grep -c '^day4-.*,calls_per_message,' "$results/samples.csv") == 4))
	cut -d, -f1 "$results/growth.csv" | paste -sd ' ' | grep -qx 'connections 1 10 100 1000'
	grep -q '^50 connections, 512 B .* CPU time a message' "$results/table.txt"
	! command -v gnuplot || grep -q '</svg>' "$results/plot.svg"
}

@test "run: a disturbed round is left out, and what is measured outside of the rounds is not" {
	local round server samples=$BATS_TEST_TMPDIR/samples.csv

	{
		echo load,round,server,figure,value
		for server in epoll io_uring; do
			echo "stream,0,$server,calls_per_message,5"
			for round in 1 2 3 4; do
				echo "stream,$round,$server,bytes_per_s,$((round == 1 ? 900 : 100 + round))"
				echo "stream,$round,$server,disturbed,$((round == 1))"
			done
		done
	} >"$samples"
	run -0 awk -f bench/statistics.awk -f bench/summary.awk -v table=1 -v other=epoll <(echo 'stream|streams') \
		<(printf '%s\n' 'stream|bytes_per_s|MB/s|1|' 'stream|calls_per_message|system calls|1|') "$samples"
	grep -Eq '^streams +MB/s +103 \(102-104\) +103 \(102-104\) ' <<<"$output"
	grep -Eq '^streams +system calls +5.00 +5.00 +1.00' <<<"$output"
}

@test "run: a goal may be about the figure under another load" {
	{
		echo load,round,server,figure,value
		echo alone,1,io_uring,server_ns_per_message,100
		echo hogs,1,io_uring,server_ns_per_message,140
	} >"$BATS_TEST_TMPDIR/samples.csv"
	run -0 awk -f bench/statistics.awk -f bench/summary.awk -v table=1 -v other=epoll \
		<(printf '%s\n' 'alone|streams' 'hogs|beside hogs') \
		<(printf 'hogs|server_ns_per_message|CPU time|10|alone <= %s\n' 1.3 1.4) \
		"$BATS_TEST_TMPDIR/samples.csv"
	[[ ${lines[1]} == 'beside hogs '*' at most 1.3 times streams: missed' ]]
	[[ ${lines[2]} == 'beside hogs '*' at most 1.4 times streams: reached' ]]
}

@test "run: a locale with a decimal comma changes no figure and no verdict" {
	need_locale de_DE
	# Which of the two awks minds the locale: Debian's own, mawk.
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$(command -v mawk || command -v awk)" "$BATS_TEST_TMPDIR/bin/awk"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH LC_ALL=de_DE.UTF-8 run -0 bench_run --only latency
	grep -Eq ' [0-9]+\.[0-9]+ .*at most 1: (reached|missed)$' <<<"$output"
	run ! grep -E '[0-9],[0-9]+ ' "$BATS_TEST_TMPDIR/results/table.txt"
	awk -F, 'NF != 14 { exit 1 }' "$BATS_TEST_TMPDIR/results/summary.csv"
}

children_of() {
	pgrep -P "$1"
}

has_children() {
	children_of "$1" >"$BATS_TEST_TMPDIR/children" && (($(wc -l <"$BATS_TEST_TMPDIR/children") >= $2))
}

two_builds() {
	RESULTS=$BATS_TEST_TMPDIR/two
	cp day06/deadlines "$BATS_TEST_TMPDIR/older"
	run -0 bench_run --vs "$BATS_TEST_TMPDIR/older" --only connect
	grep -Eq '^load +figure +other +io_uring ' <<<"$output"
	grep -Eq '^connect.* CPU time a connection, us +[0-9.]+ +[0-9.]+ +[0-9.]+ +$' <<<"$output"
	grep -q "^compared: day06/deadlines with $BATS_TEST_TMPDIR/older" "$RESULTS/machine.txt"
}

wrong_server() {
	RESULTS=$BATS_TEST_TMPDIR/wrong
	printf '#!/bin/sh\nexec build/tests/broken-echo corrupt "$1"\n' >"$BATS_TEST_TMPDIR/server"
	chmod +x "$BATS_TEST_TMPDIR/server"
	run -1 bench_run --only pipeline --server "$BATS_TEST_TMPDIR/server"
	[[ $output == *'FAILED: pipeline, io_uring: '*'other bytes than it should'* ]]

	printf '#!/bin/sh\nexit 3\n' >"$BATS_TEST_TMPDIR/server"
	run -1 bench_run --only pipeline,idle --server "$BATS_TEST_TMPDIR/server"
	[[ $output == *'io_uring does not start'* ]]
}

interrupted() {
	local signal pid child

	for signal in INT TERM; do
		# What is started in the background would ignore SIGINT otherwise.
		env --default-signal=INT bench/run --quick --round-ms 3000 --only pipeline \
			--results "$BATS_TEST_TMPDIR/results" >"$BATS_TEST_TMPDIR/out" 3>&- &
		pid=$!
		SERVERS+=("$pid")
		wait_until has_children "$pid" 3
		kill -s "$signal" "$pid"
		status=0
		wait "$pid" || status=$?
		((status == 128 + $(kill -l "$signal")))
		while read -r child; do
			run -1 kill -0 "$child"
		done <"$BATS_TEST_TMPDIR/children"
	done
}

@test "run: --vs compares the CPU times of two builds; a server that is wrong is reported, not measured; an interrupted run leaves no process behind" {
	at_once two_builds wrong_server interrupted
}
