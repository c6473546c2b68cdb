#!/usr/bin/env bats
# Day 3: accept, one multishot request for all connections; poll-accept, the readiness way.

load helpers
load peers

setup() {
	CLIENTS=()
}

teardown() {
	local pid

	for pid in "${CLIENTS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	end_servers
}

# client COMMAND [ARG]...: runs a client beside the test; its process id is $!.
client() {
	"$@" >"$BATS_TEST_TMPDIR/client.${#CLIENTS[@]}" 2>&1 3>&- &
	CLIENTS+=("$!")
}

# wait_for_clients: until all have ended by themselves.
wait_for_clients() {
	local pid

	for pid in "${CLIENTS[@]}"; do
		wait "$pid"
	done
	CLIENTS=()
}

# Processor time that the server started last has used, in ticks (100 a second).
ticks() {
	awk '{ print $14 + $15 }' "/proc/$PID/stat"
}

# slots_ever_used: how many different slots the log names.
slots_ever_used() {
	sed -n 's/^connection .*: slot //p' "$LOG" | sort -u | wc -l
}

summary() {
	tail -n 1 "$LOG"
}

# ended_with SUMMARY: the server started last ends by itself, with status 0, no complaint, and this last
# line, a regular expression.
ended_with() {
	wait_until has_ended "$PID"
	wait "$PID"
	cat "$LOG.err"
	[ ! -s "$LOG.err" ]
	[[ "$(summary)" =~ ^$1$ ]]
}

@test "accept: nc and socat are accepted, closed by the server, and a line each is printed" {
	start_server ./day03/accept --count 2 0
	run timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	if command -v nc >/dev/null; then
		run timeout 20 nc 127.0.0.1 "$PORT" </dev/null
		[ -z "$output" ]
	else
		timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	fi
	ended_with 'connections: 2, completions: 4, system calls: 5'
	[ "$(sed -n '2,$p' "$LOG" | sed '$d')" = "accept: armed
connection 1: slot 0
connection 2: slot 0" ]
}

@test "accept and poll-accept: a signal ends them as it ends any program, and the port can be bound again" {
	local program signal
	for program in accept poll-accept; do
		for signal in INT TERM; do
			# A shell's background jobs ignore SIGINT, so that the server is started with its default.
			start_server env --default-signal=INT ./day03/$program 0
			build/tests/connect "$PORT"
			stop_server "$signal"
			[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
			[ ! -s "$LOG.err" ]
			start_server ./day03/$program "$PORT"
			build/tests/connect "$PORT"
		done
	done
}

@test "accept and poll-accept: after an end in order the port is free at once, 20 times" {
	local program round
	for program in accept poll-accept; do
		start_server ./day03/$program --count 1 0
		for ((round = 0; round < 20; round++)); do
			build/tests/connect "$PORT"
			ended_with 'connections: 1, .*'
			start_server ./day03/$program --count 1 "$PORT"
		done
		[ ! -s "$LOG.err" ]
	done
}

@test "accept: 1,000 clients at once: 1,000 lines, all slots free again, no descriptor leaked" {
	start_server ./day03/accept --count 1001 0
	local before
	before=$(descriptors_of "$PID")
	run build/tests/connect --count 1000 --at-once "$PORT"
	[ "$output" = "connections closed by the server: 1000" ]
	wait_until has_lines "$LOG" '^connection [0-9]+: slot [0-9]+$' 1000
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	build/tests/connect "$PORT"
	ended_with 'connections: 1001, completions: 2002, system calls: [0-9]+'
	[ "$(grep '^connection ' "$LOG" | cut -d: -f1 | sort -u | wc -l)" -eq 1001 ]
}

@test "accept: 1,000 connections open at once are 1,000 slots and not one descriptor, and the kernel closes them all" {
	start_server ./day03/accept --hold --slots 1000 0
	local before
	before=$(descriptors_of "$PID")
	client build/tests/connect --count 1000 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection ' 1000
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	[ "$(slots_ever_used)" -eq 1000 ]
	stop_server KILL
	wait_for_clients
	[ "$(<"$BATS_TEST_TMPDIR/client.0")" = "connections closed by the server: 1000" ]
}

@test "accept: 10,000 connections one after the other do not lose a slot" {
	local count
	count=$(one_by_one 10000)
	start_server ./day03/accept --slots 4 0
	run build/tests/connect --count "$count" "$PORT"
	[ "$output" = "connections closed by the server: $count" ]
	# Every slot can still be filled: four connections are open at the same time.
	pause_server
	client build/tests/connect --count 4 --at-once "$PORT"
	kill -CONT "$PID"
	wait_for_clients
	# A connection that found no free slot has ended the request and is not counted.
	(($(lines "$LOG" '^connection ') + $(lines "$LOG" 'ENFILE') == count + 4))
}

@test "accept --hold: the table fills, the request ends, slots are freed and it accepts again" {
	start_server ./day03/accept --hold --slots 4 0
	client build/tests/connect --count 4 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection [1-4]: slot [0-3]$' 4
	[ "$(slots_ever_used)" -eq 4 ]
	# All four are open: their client is still waiting.
	kill -0 "${CLIENTS[0]}"

	run build/tests/connect "$PORT"
	[ "$output" = "connections closed by the server: 1" ]
	wait_until has_lines "$LOG" '^accept: armed$' 2
	[ "$(sed -n '7,9p' "$LOG")" = "accept: ENFILE (Too many open files in system), 4 of 4 slots are in use
accept: no IORING_CQE_F_MORE, the request has ended
accept: armed" ]
	wait_for_clients

	client build/tests/connect --count 4 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection [5-8]: slot [0-3]$' 4
	stop_server KILL
	wait_for_clients
}

@test "accept --hold: filled again and again, the table loses no slot" {
	start_server ./day03/accept --hold --slots 8 0
	local rounds round
	rounds=$(one_by_one 100)
	# 8 held, the 9th is dropped and all are freed.
	for ((round = 0; round < rounds; round++)); do
		build/tests/connect --count 9 --at-once "$PORT" >/dev/null
	done
	[ "$(lines "$LOG" '^connection ')" -eq $((rounds * 8)) ]
	[ "$(lines "$LOG" 'ENFILE')" -eq "$rounds" ]
	wait_until has_lines "$LOG" '^accept: armed$' $((rounds + 1))
}

@test "accept --slots 1: a single slot serves one connection after the other" {
	local count
	count=$(one_by_one 200)
	start_server ./day03/accept --slots 1 0
	run build/tests/connect --count "$count" "$PORT"
	[ "$output" = "connections closed by the server: $count" ]
	wait_until build/tests/connect "$PORT"
	[ "$(slots_ever_used)" -eq 1 ]
}

@test "accept: clients that reset before they are accepted do no harm" {
	start_server ./day03/accept --count 103 0
	pause_server
	run build/tests/connect --count 100 --reset "$PORT"
	[ "$output" = "connections reset: 100" ]
	kill -CONT "$PID"
	run build/tests/connect --count 3 "$PORT"
	[ "$output" = "connections closed by the server: 3" ]
	ended_with 'connections: 103, completions: 206, .*'
}

@test "accept: a process that may not open another descriptor still accepts" {
	command -v prlimit >/dev/null || skip "needs prlimit (package util-linux)"
	start_server ./day03/accept --hold --slots 100 0
	prlimit --pid "$PID" --nofile=3:1024
	client build/tests/connect --count 100 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection ' 100
	stop_server KILL
	wait_for_clients
}

@test "accept: a table larger than the limit on descriptors is refused with the limit's name" {
	run --separate-stderr bash -c 'ulimit -n 100 && exec ./day03/accept --slots 101 0'
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[ "$stderr" = "./day03/accept: io_uring_register_files_sparse: Too many open files (raise the limit on descriptors with ulimit -n, or ask for fewer)" ]
}

@test "no descriptor left for the listener is an error with a reason" {
	local program
	for program in accept poll-accept; do
		run timeout 20 bash -c '
			for fd in /proc/self/fd/*; do
				((${fd##*/} < 3)) || eval "exec ${fd##*/}>&-"
			done
			ulimit -n 4 && exec "./day03/$1" 0' bash "$program"
		[ "$status" -eq 1 ]
		[[ "$output" == "./day03/$program: "*"Too many open files"* ]]
	done
}

@test "accept --count: of more clients at once all that it has accepted by then are closed" {
	start_server ./day03/accept --count 10 0
	pause_server
	client build/tests/connect --count 50 --at-once "$PORT"
	kill -CONT "$PID"
	ended_with 'connections: [0-9]+, completions: [0-9]+, system calls: [0-9]+'
	(($(lines "$LOG" '^connection ') >= 10))
}

sleeps() {
	start_server "$1" 0
	is_quiet
}

@test "accept: without a client it sleeps; so does poll-accept" {
	two_at_a_time sleeps ./day03/accept ./day03/poll-accept
}

@test "accept: nobody reads its output: it serves on, and says how many lines are missing" {
	local fifo=$BATS_TEST_TMPDIR/fifo fd line
	mkfifo "$fifo"
	exec {fd}<>"$fifo"
	./day03/accept 0 >"$fifo" 2>"$BATS_TEST_TMPDIR/err" 3>&- {fd}>&- &
	PID=$!
	SERVERS+=("$PID")
	read -r -t 20 line <&"$fd"
	PORT=${line##*:}
	# Far more lines than a pipe holds.
	run build/tests/connect --count "$(one_by_one 5000)" "$PORT"
	[ "$status" -eq 0 ]
	if is_recent; then
		# What is in the pipe, without waiting for more: then reading fails.
		dd if="$fifo" of="$BATS_TEST_TMPDIR/read" bs=64K iflag=nonblock status=none 2>/dev/null || true
		run build/tests/connect --count 1 "$PORT"
		read -r -t 20 line <&"$fd"
		[[ "$line" =~ ^"(nobody read this output: "[0-9]+" lines are missing here)"$ ]]
	fi
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	exec {fd}>&-
}

@test "accept: output that cannot be written is said once, and it serves on" {
	free_port
	./day03/accept --count 20 "$PORT" >/dev/full 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until build/tests/connect "$PORT"
	build/tests/connect --count 19 "$PORT"
	wait_until has_ended "$PID"
	wait "$PID"
	[ "$(<"$LOG.err")" = "./day03/accept: standard output: No space left on device" ]
}

@test "poll-accept: nc and socat are accepted and closed, one answer a request" {
	start_server ./day03/poll-accept --count 22 0
	run timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	[ "$status" -eq 0 ]
	timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	run build/tests/connect --count 20 "$PORT"
	[ "$output" = "connections closed by the server: 20" ]
	ended_with 'connections: 22, completions: 22, system calls: [0-9]+'
	[ "$(lines "$LOG" '^connection [0-9]+: descriptor [0-9]+$')" -eq 22 ]
}

@test "poll-accept: 1,000 clients at once are all served, no descriptor leaks" {
	start_server ./day03/poll-accept --count 1001 0
	local before
	before=$(descriptors_of "$PID")
	run build/tests/connect --count 1000 --at-once "$PORT"
	[ "$output" = "connections closed by the server: 1000" ]
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	build/tests/connect "$PORT"
	ended_with 'connections: 1001, .*'
}

@test "poll-accept: clients that reset before they are accepted do no harm" {
	start_server ./day03/poll-accept 0
	local before
	before=$(descriptors_of "$PID")
	pause_server
	build/tests/connect --count 100 --reset "$PORT"
	kill -CONT "$PID"
	run build/tests/connect --count 3 "$PORT"
	[ "$output" = "connections closed by the server: 3" ]
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	[ ! -s "$LOG.err" ]
}

@test "poll-accept: a connection that is gone when accept4 looks is polled for again" {
	need_strace
	for error in EAGAIN ECONNABORTED EINTR; do
		start_server injected accept4 "error=$error:when=1..3" ./day03/poll-accept 0
		run build/tests/connect "$PORT"
		[ "$output" = "connections closed by the server: 1" ]
		[ "$(lines "$LOG" '^connection 1: ')" -eq 1 ]
		[ ! -s "$LOG.err" ]
	done
}

@test "poll-accept: out of descriptors it says so, does not spin, and goes on when there are some" {
	command -v prlimit >/dev/null || skip "needs prlimit (package util-linux)"
	start_server ./day03/poll-accept 0
	local before
	before=$(ticks)
	prlimit --pid "$PID" --nofile=3:1024
	client build/tests/connect "$PORT"
	says_twice() {
		(($(lines "$LOG.err" '^\./day03/poll-accept: accept4: Too many open files$') >= 2))
	}
	wait_until says_twice
	sleep 0.5
	# One try in 100 ms: 7 of them by now, and a few more on a busy machine.
	(($(wc -l <"$LOG.err") <= 40))
	(($(ticks) - before <= 10))
	prlimit --pid "$PID" --nofile=1024:1024
	wait_for_clients
	[ "$(lines "$LOG" '^connection 1: ')" -eq 1 ]
}

@test "the multishot way takes fewer system calls a connection than the readiness way" {
	calls_of() {
		start_server "$1" --count 300 0
		pause_server
		client build/tests/connect --count 300 --at-once "$PORT"
		wait_until backlog_is 300
		kill -CONT "$PID"
		wait_for_clients
		ended_with 'connections: 300, .*'
		calls=$(sed -E 's/.*system calls: ([0-9]+).*/\1/' <<<"$(summary)")
	}
	# The connections that wait to be accepted are in the listener's receive queue.
	backlog_is() {
		local port queue
		port=$(printf '%04X' "$PORT")
		queue=$(printf '%08X' "$1")
		grep -q "^ *[0-9]*: [0-9A-F]*:$port [0-9A-F]*:0000 0A [0-9A-F]*:$queue " /proc/net/tcp
	}
	calls_of ./day03/accept
	local multishot=$calls
	calls_of ./day03/poll-accept
	((multishot * 2 < calls))
}

@test "valgrind is silent" {
	command -v valgrind >/dev/null || skip "needs valgrind (package valgrind)"
	sanitized && skip "the sanitizers and valgrind exclude each other"
	local program
	for program in "./day01/setup" "./day01/probe" "./day02/registered-files LICENSE"; do
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr valgrind -q --leak-check=full --error-exitcode=99 $program
		[ "$status" -eq 0 ]
		[ -z "$stderr" ]
	done
	for program in "./day03/accept" "./day03/accept --hold --slots 4" "./day03/poll-accept"; do
		# shellcheck disable=SC2086 # a program and its arguments
		start_server valgrind -q --leak-check=full --error-exitcode=99 $program --count 8 0
		client build/tests/connect --count 10 --at-once "$PORT"
		ended_with 'connections: .*'
	done
}
