#!/usr/bin/env bats
# Day 6: all that is true of day 5's echo server, then a clean shutdown and deadlines. tests/conformance.bash has what
# both days do.

load helpers
load peers
load conformance

setup() {
	ECHO=(./day06/deadlines)
	FEW=(--buffers 4)
	FEW_SMALL=(--buffers 4 --buffer-size 512)
	LEAST=(--buffers 1 --buffer-size 1)
}

teardown() {
	end_servers
}

# 1. Every byte comes back, once, in order, to the peer that sent it.

@test "day 6: streams of tens of megabytes come back byte for byte" {
	echoes_streams
}

@test "day 6: streams, 4 buffers" {
	echoes_streams "${FEW[@]}"
}

@test "day 6: streams, 4 buffers of 512 bytes" {
	STREAM_BYTES=5000000
	echoes_streams "${FEW_SMALL[@]}"
}

@test "day 6: streams, one buffer of one byte" {
	echo_server "${LEAST[@]}"
	peer stream --connections 4 --bytes 50000
	peer stream --late --connections 4 --bytes 50000
	peer ping --connections 50 --count 5 --chunk 512
	stop_clean
}

@test "day 6: messages, also one byte at a time" {
	echoes_messages
	echoes_messages "${FEW[@]}"
}

@test "day 6: late readers" {
	echoes_to_late_readers
	echoes_to_late_readers "${FEW[@]}"
	STREAM_BYTES=5000000
	echoes_to_late_readers "${FEW_SMALL[@]}"
}

@test "day 6: random peers (a failure names the seed)" {
	at_once survives_random_peers "survives_random_peers ${FEW[*]}" "survives_random_peers ${FEW_SMALL[*]}"
}

# 2. Half-close.

@test "day 6: half-closed peers get all their bytes, then end-of-file, however slowly they read" {
	at_once half_closes "half_closes ${FEW[*]}" "half_closes ${FEW_SMALL[*]}"
}

# 3. Backpressure, per peer.

@test "day 6: one peer that does not read" {
	absent_peers_harm_nobody 1
}

@test "day 6: 300 peers that do not read, 100 and 4 buffers, 100 and 4 buffers of 512 bytes: the one that does is answered at once" {
	at_once "absent_peers_harm_nobody ${CROWD:-$(scaled 300)}" "absent_peers_harm_nobody $(scaled 100) ${FEW[*]}" \
		"absent_peers_harm_nobody $(scaled 100) ${FEW_SMALL[*]}"
}

@test "day 6: peers that do not read, and windows of megabytes" {
	absent_peers_with_large_windows
	absent_peers_with_large_windows "${FEW[@]}"
}

@test "day 6: one peer that does not read holds a few buffers, not the pool" {
	is_recent || skip "a burst has no bound on older kernels: as long as bytes keep coming, it takes them all"
	echo_server
	start_peers absent --connections 1
	peer ping --connections 10 --count 50 --chunk 10000
	end_peers
	stop_within TERM "$(within 2500)"
	grep 'buffer ring empty: 0,' "$LOG"
}

@test "day 6: memory stays below the bound that is printed at start" {
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

@test "day 6: resets with data on the way in either direction" {
	survives_resets
	survives_resets "${FEW[@]}"
	survives_resets "${FEW_SMALL[@]}"
}

@test "day 6: peers that connect and leave at once" {
	survives_flashes
	survives_flashes "${FEW[@]}"
}

# 5. Limits.

@test "day 6: 5,000 peers at once" {
	serves_a_crowd 5000
}

@test "day 6: 2,000 peers at once, 4 buffers" {
	serves_a_crowd 2000 "${FEW[@]}"
}

@test "day 6: the number of busy peers does not decide how long one waits, 4 buffers" {
	echo_server "${FEW[@]}"
	peer ping --connections 2000 --count 3 --chunk 500
	stop_clean
	# Nobody tries again and again what only a few can have: a receive or two a message find the ring
	# of buffers empty.
	grep 'buffer ring empty' "$LOG"
	(($(sed -n 's/.*buffer ring empty: \([0-9]*\).*/\1/p' "$LOG") <= 4 * 2000 * 3))
}

@test "day 6: a full table turns nobody away: 300 peers at a table of 16" {
	echo_server --connections 16
	peer stream --connections 300 --bytes 30000
	stop_clean
}

@test "day 6: a crowd that comes while the accept is multishot, and fills the table: nobody is turned away" {
	sanitized && skip "too slow with sanitizers"
	need_descriptors 9000
	echo_server --connections 8500 # more than twice what the listen backlog holds
	peer ping --connections 9000 --count 1 --chunk 10 --deadline 60
	stop_clean
}

@test "day 6: the soft limit on descriptors is raised" {
	start_server prlimit --nofile=64:2000 ./day06/deadlines --connections 1500 0
	peer ping --connections 1500 --count 2 --chunk 100
	stop_clean
}

@test "day 6: a hard limit that is too low is said, and fewer connections are served" {
	start_server prlimit --nofile=64:64 ./day06/deadlines 0
	grep -q 'hard limit' "$LOG" "$LOG.err"
	peer stream --turned-away --connections 200 --bytes 5000
	stop_within TERM "$(within 2500)"
}

@test "day 6: 10,000 connections are the default" {
	./day06/deadlines --help | grep -q -- '--connections.*default 10000'
	need_descriptors 10100
	sanitized && skip "too slow with sanitizers"
	echo_server
	peer ping --connections 10000 --count 1 --chunk 100
	stop_clean
}

# 6. Ends in order.

@test "day 6: SIGTERM: what was received is sent, then end-of-file" {
	sends_what_it_received
	sends_what_it_received "${FEW[@]}"
	sends_what_it_received "${FEW_SMALL[@]}"
}

@test "day 6: SIGTERM: what was received is sent, also where the peers have sent more" {
	sends_what_it_received_of_more
	sends_what_it_received_of_more "${FEW[@]}"
	sends_what_it_received_of_more "${FEW_SMALL[@]}"
}

@test "day 6: SIGTERM under load" {
	ends_under_load
	ends_under_load "${FEW[@]}"
}

@test "day 6: SIGINT with idle peers: status 0 at once" {
	echo_server
	start_peers ping --server-ends --connections 50 --count 2 --chunk 100 --hold
	stop_within INT "$(within 1000)"
	finish_peers
}

absent_peers_with_and_without_buffers() {
	ends_despite_absent_peers "" "${FEW[*]}"
}

@test "day 6: SIGTERM: peers that do not read get at most two seconds; the port is free at once; a second signal ends it at once" {
	at_once absent_peers_with_and_without_buffers frees_the_port_at_once ends_at_once_on_the_second_signal
}

# 7. Quiet.

@test "day 6: idle peers cost no processor time; two connections: others wait, and service resumes" {
	at_once is_quiet_when_idle resumes_at_the_limit
}

@test "day 6: no output per message, nor per connection" {
	local before

	echo_server
	before=$(cat "$LOG")
	peer ping --connections 50 --count 20 --chunk 1000
	peer reset --connections 20 --total 60 --bytes 100000
	[ "$(cat "$LOG")" = "$before" ]
	stop_clean
}

@test "day 6: no allocation in the steady state" {
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

@test "day 6: TCP_NODELAY is on: no reply waits 40 ms" {
	does_not_delay --buffers 2 --buffer-size 512
}

# Real clients.

@test "day 6: nc" {
	need nc netcat-openbsd
	echo_server
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	nc -N 127.0.0.1 "$PORT" <"$BATS_TEST_TMPDIR/sent" | cmp - "$BATS_TEST_TMPDIR/sent"
	stop_clean
}

@test "day 6: socat, and gzip through it" {
	need socat socat
	echo_server
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	gzip -1 <"$BATS_TEST_TMPDIR/sent" | socat -t 10 - "TCP:127.0.0.1:$PORT" | gunzip |
		cmp - "$BATS_TEST_TMPDIR/sent"
	stop_clean
}

# A command of the Redis protocol, sent back, is an array of strings: redis-cli takes it as the reply.
@test "day 6: a real protocol's client: redis-cli" {
	need redis-cli redis-tools
	echo_server
	run redis-cli -p "$PORT" set greeting "hello, world"
	[ "$status" = 0 ]
	[ "${lines[*]}" = "set greeting hello, world" ]
	run redis-cli -p "$PORT" -r 100 ping
	[ "${#lines[@]}" = 100 ]
	stop_clean
}

@test "day 6: IPv6" {
	[ -e /proc/net/if_inet6 ] || skip "no IPv6 here"
	grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback interface"
	echo_server --bind ::1
	grep -qF "listening on [::1]:$PORT" "$LOG"
	peer ping --to ::1 --connections 2 --count 2 --chunk 1000
	stop_clean
}

# Options.

@test "day 6: bad options" {
	refuses ./day06/deadlines --buffers 3
	[[ $stderr == *"power of two"* ]]
	refuses ./day06/deadlines --buffers 0
	refuses ./day06/deadlines --buffers 65536
	refuses ./day06/deadlines --buffers
	refuses ./day06/deadlines --buffer-size 0
	refuses ./day06/deadlines --buffer-size 16k
	refuses ./day06/deadlines --buffer-size 4294967296
	refuses ./day06/deadlines --connections 0
	refuses ./day06/deadlines --connections -1
	refuses ./day06/deadlines --connections 99999999999
	refuses ./day06/deadlines --nonsense
	refuses ./day06/deadlines 70000
	refuses ./day06/deadlines 7006x
	refuses ./day06/deadlines ''
	refuses ./day06/deadlines 7006 7007
}

@test "day 6: --connections 1000000 is adjusted to the hard limit, and says so" {
	start_server prlimit --nofile=3000:3000 ./day06/deadlines --connections 1000000 0
	grep -q '^connections: 3000 instead of 1000000 (.*hard limit' "$LOG"
	peer ping --connections 100 --count 2 --chunk 100
	stop_clean
}

@test "day 6: --help goes to standard output" {
	run --separate-stderr ./day06/deadlines --help
	[ "$status" = 0 ]
	[[ $output == Usage:* ]]
	[ -z "$stderr" ]
}

@test "day 6: SIGUSR1 and the end print what has happened" {
	echo_server
	peer ping --connections 3 --count 10 --chunk 1000
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: 30000, buffer ring empty: 0, pauses: 0$' 1

	# A receive that is cancelled because the program ends is no pause.
	exec {peer}<>"/dev/tcp/127.0.0.1/$PORT"
	echo hello >&"$peer"
	read -r -t 10 -u "$peer"
	kill -TERM "$PID"
	timeout 10 cat <&"$peer"
	exec {peer}>&-
	ends_with_status_0
	has_lines "$LOG" '^connections: 4, completions: [0-9]+, waits: [0-9]+' 1
	has_lines "$LOG" '^bytes: 30006, buffer ring empty: 0, pauses: 0$' 1
}

@test "day 6: 64 peers that do not read cost four streams next to nothing; the reserves serve them" {
	echo_server
	start_peers absent --connections 64
	peer stream --connections 4 --bytes "$(scaled 20000000)"
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: [0-9]+, buffer ring empty: [1-9][0-9]*, ' 1
	end_peers
	stop_within TERM "$(within 2500)"
}

@test "day 6: an idle connection takes at most 64 bytes of memory" {
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

# 9. Deadlines. What a busy machine delays only makes an end later; so "never early" is exact, and "late" is compared
# with other times of the same run.

# silent [OPTION]...: clients that fall silent (tests/silent.c).
silent() {
	build/tests/silent "$@" "$PORT"
}

@test "day 6: a silent client gets its EOF after the limit, never early; one that speaks keeps its connection" {
	local others

	echo_server --idle 600
	silent --limit 600 &
	others=$!
	SERVERS+=("$others")
	# Each message of this one comes well within the limit, and all of them take longer than it.
	peer ping --connections 1 --count 400 --split
	wait "$others"
	silent --connections 50 --limit 600
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^silent for too long: 51$' 1
	stop_clean
}

@test "day 6: a client that doesn't close after its EOF is cut off a limit later, whatever it sends" {
	echo_server --idle 300
	silent --stay --limit 300
	stop_clean
	# The connection was silent once, and not again when it was cut off.
	has_lines "$LOG" '^silent for too long: 1$' 1
}

# It half-closes, and reads late.
is_owed_bytes() {
	echo_server --idle 300
	peer stream --late --connections 10 --bytes 1000000 --blocked-ms 100
	stop_clean
}

nobody_is_connected() {
	[ -z "$(ss -Htn state established "sport = :$PORT")" ]
}

# A send waits until much of the socket's buffer is free: at this pace, and but for the retries, for 80 limits.
reads_slowly() {
	echo_server --idle 30
	peer stream --connections 1 --bytes 7000000 --pace 650
	stop_clean
}

silent_all_at_once() {
	local crowd waiting

	crowd=9000
	is_recent || crowd=500
	echo_server --idle 3000
	silent --connections "$crowd" --limit 3000 >"$BATS_TEST_TMPDIR/silent" &
	waiting=$!
	SERVERS+=("$waiting")
	wait_until grep -q ready "$BATS_TEST_TMPDIR/silent"
	# It stands still until all of them are overdue: it has to end them all in one pass.
	pause_server
	sleep 3.1 # the time that makes them overdue
	launch_peers ping --connections 1 --count 20000 --chunk 100
	wait_until are_connected "$((crowd + 1))"
	kill -CONT "$PID"
	finish_peers
	cat "$PEERS_LOG"
	# One that speaks is answered before the last of the crowd has heard of its end.
	wait "$waiting"
	stop_clean
	has_lines "$LOG" "^silent for too long: $crowd\$" 1
}

ends_by_timeout() {
	local round

	for round in 1 2 3; do
		start_server timeout 300 "${ECHO[@]}" 0
		start_peers ping --server-ends --connections 5 --count 1 --hold
		# It passes the signal on to the server, then sends it to its process group, where the server is, too.
		kill -TERM "$PID"
		wait_for_end
		[ "$status" = 0 ]
		has_lines "$LOG" '^connections: 5, ' 1 # it has come to its end
		finish_peers
	done
}

# Two that are pending at the same moment, and so are read one right after the other; SIGUSR1 among them prints the
# counts.
ends_on_two_signals() {
	echo_server
	start_peers ping --server-ends --connections 5 --count 1 --hold
	pause_server
	kill -INT "$PID"
	kill -TERM "$PID"
	kill -CONT "$PID"
	ends_with_status_0
	finish_peers

	echo_server
	start_peers absent --small --cut-short --connections 5
	pause_server
	kill -USR1 "$PID"
	kill -TERM "$PID"
	kill -CONT "$PID"
	wait_until is_closed
	kill -USR1 "$PID"
	ends_with_status_0
	(($(lines "$LOG" '^connections: 5, ') >= 2))
	end_peers
}

@test "day 6: a client that reads 16 KiB in each limit is never cut off; what a silent one was owed is sent before its EOF; thousands silent at once don't hold up one that speaks; timeout(1), which signals twice, ends it cleanly; SIGUSR1 at the end prints the counts" {
	local crowds=(silent_all_at_once)

	if sanitized || (($(ulimit -Hn) < 9100)); then
		crowds=()
	fi
	at_once reads_slowly "${crowds[@]}" ends_by_timeout ends_on_two_signals is_owed_bytes
}

@test "day 6: clients that take nothing are cut off" {
	echo_server --idle 100
	start_peers absent --cut-short --hold --connections 3
	wait_until nobody_is_connected
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^silent for too long: 3$' 1
	end_peers
	peer ping --connections 1 --count 3
	stop_clean
}

@test "day 6: bad limits" {
	refuses ./day06/deadlines --idle 0
	refuses ./day06/deadlines --idle -1
	refuses ./day06/deadlines --idle 86400001
	refuses ./day06/deadlines --idle
}
