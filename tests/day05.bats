#!/usr/bin/env bats
# Day 5: what is true of the echo server while it runs, whatever its clients do, point by point, with many buffers and
# with so few that every shortage happens. tests/conformance.bash says what is done. Some of it takes a while and is
# the same on day 6, which has all of it: random peers with all pools, and two crowds.

load helpers
load peers
load conformance

setup() {
	ECHO=(./day05/echo)
	FEW=(--buffers 4)
	FEW_SMALL=(--buffers 4 --buffer-size 512)
	LEAST=(--buffers 1 --buffer-size 1)
}

teardown() {
	end_servers
}

# 1. Every byte comes back, once, in order, to the peer that sent it.

@test "day 5: streams of tens of megabytes come back byte for byte" {
	echoes_streams
}

@test "day 5: streams, 4 buffers" {
	echoes_streams "${FEW[@]}"
}

@test "day 5: streams, 4 buffers of 512 bytes" {
	STREAM_BYTES=5000000
	echoes_streams "${FEW_SMALL[@]}"
}

@test "day 5: streams, one buffer of one byte" {
	echo_server "${LEAST[@]}"
	peer stream --connections 4 --bytes 50000
	peer stream --late --connections 4 --bytes 50000
	peer ping --connections 50 --count 5 --chunk 512
	stop_clean
}

@test "day 5: messages, also one byte at a time" {
	echoes_messages
	echoes_messages "${FEW[@]}"
}

@test "day 5: late readers" {
	echoes_to_late_readers
	echoes_to_late_readers "${FEW[@]}"
	STREAM_BYTES=5000000
	echoes_to_late_readers "${FEW_SMALL[@]}"
}

# 2. Half-close.

@test "day 5: half-closed peers get all their bytes, then end-of-file, however slowly they read" {
	at_once half_closes "half_closes ${FEW[*]}" "half_closes ${FEW_SMALL[*]}"
}

# 3. Backpressure, per peer.

@test "day 5: one peer that does not read" {
	absent_peers_harm_nobody 1
}

@test "day 5: 300 peers that do not read: the one that does is answered at once; two connections: others wait, and service resumes; idle peers cost no processor time; random peers (a failure names the seed)" {
	at_once "absent_peers_harm_nobody ${CROWD:-$(scaled 300)}" resumes_at_the_limit is_quiet_when_idle \
		"survives_random_peers ${FEW[*]}"
}

@test "day 5: 100 peers that do not read, 4 buffers" {
	absent_peers_harm_nobody "$(scaled 100)" "${FEW[@]}"
}

@test "day 5: peers that do not read, and windows of megabytes" {
	absent_peers_with_large_windows
	absent_peers_with_large_windows "${FEW[@]}"
}

@test "day 5: one peer that does not read holds a few buffers, not the pool" {
	is_recent || skip "a burst has no bound on older kernels: as long as bytes keep coming, it takes them all"
	echo_server
	start_peers absent --connections 1
	peer ping --connections 10 --count 50 --chunk 10000
	end_peers
	stop_within TERM "$(within 2500)"
	grep 'buffer ring empty: 0,' "$LOG"
}

@test "day 5: memory stays below the bound that is printed at start" {
	local before bound absent

	sanitized && skip "the sanitizers' own memory is not bounded"
	echo_server --connections 600 --buffers 16 --buffer-size 4096
	bound=$(sed -n 's/^memory: at most \([0-9]*\) KiB.*/\1/p' "$LOG")
	before=$(rss_kib)
	start_peers absent --small --connections 400
	absent=$PEERS
	start_peers ping --connections 100 --count 5 --chunk 5000 --hold
	peer reset --connections 20 --total 60 --bytes 100000
	echo "bound: $bound KiB, before: $before KiB, now: $(rss_kib) KiB"
	((bound > 0 && bound < 21000))
	(($(rss_kib) - before <= bound + 256)) # with the rings, of which it was not yet all touched
	end_peers
	end_peers "$absent"
	stop_clean
}

# 4. Buffers never leak: with assertions in the program, and a pool of four that would be gone soon.

@test "day 5: resets with data on the way in either direction" {
	at_once survives_resets "survives_resets ${FEW[*]}" "survives_resets ${FEW_SMALL[*]}"
}

@test "day 5: peers that connect and leave at once" {
	survives_flashes
	survives_flashes "${FEW[@]}"
}

# 5. Limits.

@test "day 5: 5,000 peers at once" {
	serves_a_crowd 5000
}

@test "day 5: 2,000 peers at once, 4 buffers" {
	serves_a_crowd 2000 "${FEW[@]}"
}

@test "day 5: the number of busy peers does not decide how long one waits, 4 buffers" {
	echo_server "${FEW[@]}"
	peer ping --connections 2000 --count 3 --chunk 500
	stop_clean
	# Nobody tries again and again what only a few can have: a receive or two a message find the ring
	# of buffers empty.
	grep 'buffer ring empty' "$LOG"
	(($(sed -n 's/.*buffer ring empty: \([0-9]*\).*/\1/p' "$LOG") <= 4 * 2000 * 3))
}

@test "day 5: a full table turns nobody away: 300 peers at a table of 16" {
	echo_server --connections 16
	peer stream --connections 300 --bytes 30000
	stop_clean
}

@test "day 5: a crowd that comes while the accept is multishot, and fills the table: nobody is turned away" {
	sanitized && skip "too slow with sanitizers"
	need_descriptors 9000
	echo_server --connections 8500 # more than twice what the listen backlog holds
	peer ping --connections 9000 --count 1 --chunk 10 --deadline 60
	stop_clean
}

@test "day 5: the soft limit on descriptors is raised" {
	start_server prlimit --nofile=64:2000 ./day05/echo --connections 1500 0
	peer ping --connections 1500 --count 2 --chunk 100
	stop_clean
}

@test "day 5: a hard limit that is too low is said, and fewer connections are served" {
	start_server prlimit --nofile=64:64 ./day05/echo 0
	grep -q 'hard limit' "$LOG" "$LOG.err"
	peer stream --turned-away --connections 200 --bytes 5000
	stop_within TERM "$(within 2500)"
}

@test "day 5: 10,000 connections are the default" {
	./day05/echo --help | grep -q -- '--connections.*default 10000'
	need_descriptors 10100
	sanitized && skip "too slow with sanitizers"
	echo_server
	peer ping --connections 10000 --count 1 --chunk 100
	stop_clean
}

# 6. The simplest end there is. (Day 6 drains its clients.)

@test "day 5: SIGTERM and SIGINT under load: it stops listening, prints its counts and leaves, status 0" {
	for signal in TERM INT; do
		echo_server
		launch_peers stream --cut-short --connections 30 --bytes 1000000000
		wait_until are_connected 30
		stop_within "$signal" "$(within 1000)"
		finish_peers
		has_lines "$LOG" '^bytes: [0-9]+, buffer ring empty: [0-9]+, pauses: [0-9]+$' 1
		[ ! -s "$LOG.err" ]
	done
}

@test "day 5: SIGTERM with a crowd that does not read, and the port is free at once" {
	echo_server
	start_peers absent --small --cut-short --connections 50
	stop_within TERM "$(within 1000)"
	start_server "${ECHO[@]}" "$PORT"
	peer ping --connections 3 --count 3 --chunk 1000
	stop_clean
	end_peers
}

# 7. Quiet.

@test "day 5: no output per message, nor per connection" {
	local before

	echo_server
	before=$(cat "$LOG")
	peer ping --connections 50 --count 20 --chunk 1000
	peer reset --connections 20 --total 60 --bytes 100000
	[ "$(cat "$LOG")" = "$before" ]
	stop_clean
}

@test "day 5: no allocation in the steady state" {
	local trace=$BATS_TEST_TMPDIR/trace

	need strace strace
	sanitized && skip "the sanitizers allocate on their own"
	echo_server
	peer ping --connections 50 --count 20 --chunk 5000
	strace -qq -o "$trace" -e trace=memory,io_uring_enter -p "$PID" 3>&- &
	SERVERS+=($!)
	wait_until is_traced
	peer ping --connections 50 --count 20 --chunk 5000
	peer stream --connections 4 --bytes 1000000
	kill "$!"
	wait "$!" || true
	stop_clean
	grep -q io_uring_enter "$trace" # the trace has seen the server at work
	run ! grep -E '^(mmap|munmap|mremap|brk|madvise|mprotect)' "$trace"
}

is_traced() {
	! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$PID/status"
}

# 8. TCP_NODELAY.

@test "day 5: TCP_NODELAY is on: no reply waits 40 ms" {
	does_not_delay --buffers 2 --buffer-size 512
}

# Real clients.

@test "day 5: nc" {
	need nc netcat-openbsd
	echo_server
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	nc -N 127.0.0.1 "$PORT" <"$BATS_TEST_TMPDIR/sent" | cmp - "$BATS_TEST_TMPDIR/sent"
	stop_clean
}

@test "day 5: socat, and gzip through it" {
	need socat socat
	echo_server
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	gzip -1 <"$BATS_TEST_TMPDIR/sent" | socat -t 10 - "TCP:127.0.0.1:$PORT" | gunzip |
		cmp - "$BATS_TEST_TMPDIR/sent"
	stop_clean
}

# A command of the Redis protocol, sent back, is an array of strings: redis-cli takes it as the reply.
@test "day 5: a real protocol's client: redis-cli" {
	need redis-cli redis-tools
	echo_server
	run redis-cli -p "$PORT" set greeting "hello, world"
	[ "$status" = 0 ]
	[ "${lines[*]}" = "set greeting hello, world" ]
	run redis-cli -p "$PORT" -r 100 ping
	[ "${#lines[@]}" = 100 ]
	stop_clean
}

@test "day 5: IPv6" {
	[ -e /proc/net/if_inet6 ] || skip "no IPv6 here"
	grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback interface"
	echo_server --bind ::1
	grep -qF "listening on [::1]:$PORT" "$LOG"
	peer ping --to ::1 --connections 2 --count 2 --chunk 1000
	stop_clean
}

# Options.

@test "day 5: bad options" {
	refuses ./day05/echo --buffers 3
	[[ $stderr == *"power of two"* ]]
	refuses ./day05/echo --buffers 0
	refuses ./day05/echo --buffers 65536
	refuses ./day05/echo --buffers
	refuses ./day05/echo --buffer-size 0
	refuses ./day05/echo --buffer-size 16k
	refuses ./day05/echo --buffer-size 4294967296
	refuses ./day05/echo --connections 0
	refuses ./day05/echo --connections -1
	refuses ./day05/echo --connections 99999999999
	refuses ./day05/echo --nonsense
	refuses ./day05/echo 70000
	refuses ./day05/echo 7005x
	refuses ./day05/echo ''
	refuses ./day05/echo 7005 7006
}

@test "day 5: --connections 1000000 is adjusted to the hard limit, and says so" {
	start_server prlimit --nofile=3000:3000 ./day05/echo --connections 1000000 0
	grep -q '^connections: 3000 instead of 1000000 (.*hard limit' "$LOG"
	peer ping --connections 100 --count 2 --chunk 100
	stop_clean
}

@test "day 5: --help goes to standard output" {
	run --separate-stderr ./day05/echo --help
	[ "$status" = 0 ]
	[[ $output == Usage:* ]]
	[ -z "$stderr" ]
}

@test "day 5: SIGUSR1 and the end print what has happened" {
	echo_server
	peer ping --connections 3 --count 10 --chunk 1000
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: 30000, buffer ring empty: 0, pauses: 0$' 1

	stop_clean
	has_lines "$LOG" '^connections: 3, completions: [0-9]+, waits: [0-9]+' 2
	has_lines "$LOG" '^bytes: 30000, buffer ring empty: 0, pauses: 0$' 2
}

@test "day 5: 64 peers that do not read cost four streams next to nothing; the reserves serve them" {
	echo_server
	start_peers absent --connections 64
	peer stream --connections 4 --bytes "$(scaled 20000000)"
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: [0-9]+, buffer ring empty: [1-9][0-9]*, ' 1
	end_peers
	stop_within TERM "$(within 2500)"
}

@test "day 5: an idle connection takes at most 64 bytes of memory" {
	local before after

	sanitized && skip "the sanitizers' own memory"
	need_descriptors 8100
	echo_server
	peer ping --connections 100 --count 10 --chunk 100
	before=$(rss_kib)
	start_peers ping --connections 8000 --count 1 --chunk 1 --hold
	after=$(rss_kib)
	echo "$before KiB, with 8,000 connections $after KiB"
	(((after - before) * 1024 <= 64 * 8000))
	stop_within TERM "$(within 2500)"
}
