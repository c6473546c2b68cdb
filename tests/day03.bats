#!/usr/bin/env bats
# Day 3: accept, one multishot request for all connections; poll-accept, the readiness way.

load helpers

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

@test "accept: nc and socat are accepted, closed by the server, and a line each is printed" {
	start_server ./day03/accept 0
	run timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	if command -v nc >/dev/null; then
		run timeout 20 nc 127.0.0.1 "$PORT" </dev/null
		[ -z "$output" ]
	else
		timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
	fi
	stop_server TERM
	[ "$status" -eq 0 ]
	[ "$(sed -n 2,3p "$LOG")" = "connection 1: slot 0
connection 2: slot 0" ]
	[[ "$(summary)" =~ ^"connections: 2, completions: "[0-9]+", system calls: "[0-9]+", slots in use: 0"$ ]]
}

@test "accept: SIGINT and SIGTERM print a summary and exit 0" {
	for signal in INT TERM; do
		start_server ./day03/accept 0
		build/tests/connect "$PORT"
		stop_server "$signal"
		[ "$status" -eq 0 ]
		[[ "$(summary)" == "connections: 1, completions: "*", slots in use: 0" ]]
		[ ! -s "$LOG.err" ]
	done
}

@test "accept: 1,000 clients at once: 1,000 lines, all slots free again, no descriptor leaked" {
	start_server ./day03/accept 0
	local before
	before=$(descriptors_of "$PID")
	run build/tests/connect --count 1000 --at-once "$PORT"
	[ "$output" = "connections closed by the server: 1000" ]
	wait_until has_lines "$LOG" '^connection [0-9]+: slot [0-9]+$' 1000
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" == "connections: 1000, "*", slots in use: 0" ]]
	[ "$(grep '^connection ' "$LOG" | cut -d: -f1 | sort -u | wc -l)" -eq 1000 ]
}

@test "accept: 1,000 connections open at once are 1,000 slots and not one descriptor" {
	start_server ./day03/accept --hold --slots 1000 0
	local before
	before=$(descriptors_of "$PID")
	client build/tests/connect --count 1000 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection ' 1000
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	[ "$(slots_ever_used)" -eq 1000 ]
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" == "connections: 1000, "*", slots in use: 0" ]]
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
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" =~ ^"connections: "[0-9]+", completions: "[0-9]+", system calls: "[0-9]+", slots in use: 0"$ ]]
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
	wait_until has_lines "$LOG" '^accept: armed again$' 1
	[ "$(sed -n '6,8p' "$LOG")" = "accept: Too many open files in system (ENFILE); slots in use: 4 of 4
accept: the multishot request has ended: no IORING_CQE_F_MORE
accept: armed again" ]
	wait_for_clients

	client build/tests/connect --count 4 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection [5-8]: slot [0-3]$' 4
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" == "connections: 8, "*", slots in use: 0" ]]
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
	wait_until has_lines "$LOG" '^accept: armed again$' "$rounds"
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" == "connections: $((rounds * 8)), "*", slots in use: 0" ]]
}

@test "accept --slots 1: a single slot serves one connection after the other" {
	local count
	count=$(one_by_one 200)
	start_server ./day03/accept --slots 1 0
	run build/tests/connect --count "$count" "$PORT"
	[ "$output" = "connections closed by the server: $count" ]
	wait_until build/tests/connect "$PORT"
	stop_server TERM
	[ "$status" -eq 0 ]
	[ "$(slots_ever_used)" -eq 1 ]
	[[ "$(summary)" == *", slots in use: 0" ]]
}

@test "accept: clients that reset before they are accepted do no harm" {
	start_server ./day03/accept 0
	local before
	before=$(descriptors_of "$PID")
	pause_server
	run build/tests/connect --count 100 --reset "$PORT"
	[ "$output" = "connections reset: 100" ]
	kill -CONT "$PID"
	run build/tests/connect --count 3 "$PORT"
	[ "$output" = "connections closed by the server: 3" ]
	[ "$(descriptors_of "$PID")" -eq "$before" ]
	stop_server TERM
	[ "$status" -eq 0 ]
	[[ "$(summary)" == *", slots in use: 0" ]]
	[ ! -s "$LOG.err" ]
}

@test "accept: a process that may not open another descriptor still accepts" {
	command -v prlimit >/dev/null || skip "needs prlimit (package util-linux)"
	start_server ./day03/accept --hold --slots 100 0
	prlimit --pid "$PID" --nofile=3:1024
	client build/tests/connect --count 100 --at-once "$PORT"
	wait_until has_lines "$LOG" '^connection ' 100
	# A leak check at the end, where there is one, needs descriptors.
	prlimit --pid "$PID" --nofile=1024:1024
	stop_server TERM
	[ "$status" -eq 0 ]
	wait_for_clients
}

@test "accept: a table larger than the limit on descriptors is refused with the limit's name" {
	run --separate-stderr bash -c 'ulimit -n 100 && exec ./day03/accept --slots 101 0'
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[ "$stderr" = "./day03/accept: io_uring_register_files_sparse: Too many open files (raise the limit on descriptors with ulimit -n, or ask for fewer)" ]
}

@test "no descriptor left for the listener or the signals is an error with a reason" {
	local program limit
	for program in accept poll-accept; do
		for limit in 4 5; do # standard input, output and error, the ring, the listener
			run timeout 20 bash -c '
				for fd in /proc/self/fd/*; do
					((${fd##*/} < 3)) || eval "exec ${fd##*/}>&-"
				done
				ulimit -n "$1" && exec "./day03/$2" 0' bash "$limit" "$program"
			[ "$status" -eq 1 ]
			[[ "$output" == "./day03/$program: "*"Too many open files"* ]]
		done
	done
}

@test "accept --count: ends after N connections, with exit status 0" {
	start_server ./day03/accept --count 3 0
	run build/tests/connect --count 3 "$PORT"
	[ "$output" = "connections closed by the server: 3" ]
	wait "$PID"
	[[ "$(summary)" == "connections: 3, "*", slots in use: 0" ]]

	start_server ./day03/accept --count 5 --hold --slots 8 0
	run build/tests/connect --count 5 --at-once "$PORT"
	[ "$output" = "connections closed by the server: 5" ]
	wait "$PID"
	[[ "$(summary)" == "connections: 5, "*", slots in use: 0" ]]
}

@test "accept --count: of more clients at once it serves N" {
	start_server ./day03/accept --count 10 0
	pause_server
	client build/tests/connect --count 50 --at-once "$PORT"
	kill -CONT "$PID"
	wait "$PID"
	[ "$(lines "$LOG" '^connection ')" -eq 10 ]
	[[ "$(summary)" == "connections: 10, "*", slots in use: 0" ]]
	# The other 40 are reset by the end of the listener.
}

@test "accept: one request accepts many: completions and system calls by the connection" {
	start_server ./day03/accept 0
	pause_server
	client build/tests/connect --count 500 --at-once "$PORT"
	# Half of them wait in the listener's backlog before the server sees the first.
	kill -CONT "$PID"
	wait_for_clients
	stop_server TERM
	local completions
	completions=$(sed -E 's/.*completions: ([0-9]+).*/\1/' <<<"$(summary)")
	# A completion for every accept and close, the signal, the accept's end and its cancellation.
	((completions >= 1001 && completions <= 1003))
}

@test "accept: without a client it sleeps" {
	need_strace
	start_server ./day03/accept 0
	local before
	before=$(ticks)
	sleep 0.3
	(($(ticks) - before <= 2))
	stop_server TERM
	[[ "$(summary)" =~ "system calls: 2," ]]
}

@test "poll-accept: nc and socat are accepted and closed, waiting and with --peek" {
	for options in "" --peek; do
		# shellcheck disable=SC2086 # no option, or one
		start_server ./day03/poll-accept $options 0
		run timeout 20 socat -u "TCP:127.0.0.1:$PORT" -
		[ "$status" -eq 0 ]
		! command -v nc >/dev/null || timeout 20 nc 127.0.0.1 "$PORT" </dev/null
		run build/tests/connect --count 20 "$PORT"
		[ "$output" = "connections closed by the server: 20" ]
		stop_server TERM
		[ "$status" -eq 0 ]
		(($(lines "$LOG" '^connection [0-9]+: descriptor [0-9]+$') >= 21))
		[[ "$(summary)" =~ ^"connections: "[0-9]+", completions: "[0-9]+", system calls: "[0-9]+ ]]
		[ -z "$options" ] || [[ "$(summary)" =~ ", looks without a system call: "[0-9]+$ ]]
	done
}

@test "poll-accept: SIGINT and SIGTERM print a summary and exit 0, also right after the start" {
	for options in "" --peek; do
		for signal in INT TERM; do
			# shellcheck disable=SC2086 # no option, or one
			start_server ./day03/poll-accept $options 0
			stop_server "$signal"
			[ "$status" -eq 0 ]
			[[ "$(summary)" == "connections: 0, completions: 1, system calls: "* ]]
			[ ! -s "$LOG.err" ]
		done
	done
}

@test "poll-accept: 1,000 clients at once are all served, no descriptor leaks" {
	for options in "" --peek; do
		# shellcheck disable=SC2086 # no option, or one
		start_server ./day03/poll-accept $options 0
		local before
		before=$(descriptors_of "$PID")
		run build/tests/connect --count 1000 --at-once "$PORT"
		[ "$output" = "connections closed by the server: 1000" ]
		[ "$(descriptors_of "$PID")" -eq "$before" ]
		stop_server TERM
		[[ "$(summary)" == "connections: 1000, "* ]]
	done
}

@test "poll-accept: without --peek it sleeps, with --peek it never does" {
	start_server ./day03/poll-accept 0
	local before
	before=$(ticks)
	sleep 0.3
	(($(ticks) - before <= 5))
	start_server ./day03/poll-accept --peek 0
	busy() {
		(($(ticks) >= 10))
	}
	wait_until busy
	stop_server TERM
	[ "$(sed -E 's/.*without a system call: ([0-9]+)$/\1/' <<<"$(summary)")" -gt 1000 ]
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
	stop_server TERM
	[ "$status" -eq 0 ]
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
		stop_server TERM
		[[ "$(summary)" == "connections: 1, "* ]]
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
	stop_server TERM
	[ "$status" -eq 0 ]
}

@test "the multishot way takes fewer system calls a connection than the readiness way" {
	calls_of() {
		start_server "$1" 0
		pause_server
		client build/tests/connect --count 300 --at-once "$PORT"
		wait_until backlog_is 300
		kill -CONT "$PID"
		wait_for_clients
		stop_server TERM
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
		start_server valgrind -q --leak-check=full --error-exitcode=99 $program 0
		build/tests/connect --count 10 --at-once "$PORT"
		stop_server TERM
		[ "$status" -eq 0 ]
		[ ! -s "$LOG.err" ]
	done
}
