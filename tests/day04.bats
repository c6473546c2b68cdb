#!/usr/bin/env bats
# Day 4: every chunk is acknowledged, to every kind of peer, and nobody takes the service from others.

load helpers
load peers

teardown() {
	end_servers
}

# event_loop [OPTION]...: starts the server; sets PID, PORT and LOG.
event_loop() {
	start_server ./day04/event-loop "$@" 0
}

@test "day 4: nc gets an acknowledgement for every chunk" {
	event_loop
	need nc netcat-openbsd
	[ "$(printf hello | nc -N 127.0.0.1 "$PORT")" = "ack 5" ]
	stop_clean
}

@test "day 4: socat gets an acknowledgement for every chunk" {
	event_loop
	need socat socat
	[ "$(printf 'hello world' | socat -t 5 - "TCP:127.0.0.1:$PORT")" = "ack 11" ]
	stop_clean
}

@test "day 4: 500 peers at once, and the sums of what is acknowledged are what was sent" {
	event_loop
	peer stream --acks --connections 500 --bytes 20000 --chunk 1000
	stop_clean
}

@test "day 4: 500 peers in a request-reply loop" {
	event_loop
	peer ping --acks --connections 500 --count 20 --chunk 300
	stop_clean
}

@test "day 4: one byte at a time" {
	event_loop
	peer stream --acks --connections 20 --bytes "$(scaled 2000)" --chunk 1
	peer ping --acks --connections 5 --count 200 --chunk 1
	stop_clean
}

@test "day 4: half-close: all replies still come, however slowly they are read, then end-of-file" {
	event_loop
	peer stream --acks --connections 50 --bytes 100000
	peer stream --acks --connections 50 --bytes 3000 --chunk 100 --pace 10
	stop_clean
}

@test "day 4: resets with data on the way, and peers that leave at once" {
	event_loop
	peer reset --acks --connections 50 --total 300 --bytes 100000
	peer flash --connections 100 --total 2000
	peer ping --acks --connections 10 --count 10 --chunk 100
	stop_clean
}

@test "day 4: 100 MB without reading any reply, in a server that does not grow" {
	event_loop
	peer ping --acks --connections 2 --count 10 --chunk 5000
	before=$(rss_kib)
	peer stream --acks --late --bytes "$(scaled 100000000)"
	echo "memory: $before KiB before, $(rss_kib) KiB after"
	sanitized || (($(rss_kib) - before <= 256))
	stop_clean
}

@test "day 4: peers that do not read are not read from; the others do not notice" {
	event_loop
	before=$(rss_kib)
	start_peers absent --acks --small --connections 2
	peer ping --acks --connections 10 --count 100 --chunk 100 --reply-ms "$(within 1000)"
	is_quiet
	echo "memory: $before KiB before, $(rss_kib) KiB after"
	sanitized || (($(rss_kib) - before <= 512))
	stop_clean
}

@test "day 4: peers that did not read get every acknowledgement once they do" {
	event_loop
	start_peers absent --acks --drain --small --connections 2
	release_peers
	stop_clean
}

@test "day 4: SIGTERM with 500 peers, 50 of which do not read: status 0 within a second" {
	event_loop
	start_peers ping --acks --connections 450 --count 2 --chunk 100 --hold
	start_peers absent --acks --connections 48 --bytes 50000
	start_peers absent --acks --small --connections 2
	stop_within TERM "$(within 1000)"
	[ ! -s "$LOG.err" ]
}

@test "day 4: SIGTERM while everybody is sending: status 0 within a second" {
	event_loop
	launch_peers stream --acks --cut-short --connections 100 --bytes 1000000000
	wait_until are_connected 50
	stop_within TERM "$(within 1000)"
	finish_peers
}

# waits_until_line N: asks for the counts, which are the log's Nth, and prints how often the server has waited.
waits_until_line() {
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^connections: ' "$1"
	sed -n 's/.* waits: \([0-9]*\),.*/\1/p' "$LOG" | tail -n 1
}

# everybody_says TEXT HOW: each peer of the descriptors in fds says it, while the server is running or paused; then each
# gets its answer.
everybody_says() {
	local fd line

	[ "$2" != paused ] || pause_server
	for fd in "${fds[@]}"; do
		printf '%s' "$1" >&"$fd"
	done
	kill -CONT "$PID"
	for fd in "${fds[@]}"; do
		read -r -t 20 line <&"$fd"
		[ "$line" = "ack ${#1}" ]
	done
}

@test "day 4: what fifty peers have sent by then is found and answered with few waits" {
	local fd fds=() i before after

	event_loop
	for ((i = 0; i < 50; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
		fds+=("$fd")
	done
	everybody_says hi running
	before=$(waits_until_line 1)
	everybody_says hello paused
	after=$(waits_until_line 2)
	echo "for 50 receives and 50 sends: $((after - before)) waits"
	((after - before <= 20))
	stop_clean
}

idle_peers() {
	event_loop
	start_peers ping --acks --connections 100 --count 1 --chunk 10 --hold
	is_quiet 2 2
	stop_clean
}

full_table() {
	event_loop --slots 4
	start_peers ping --acks --connections 4 --count 5 --chunk 100 --hold --drain
	seated=$PEERS
	launch_peers stream --acks --connections 20 --bytes 5000
	wait_until everybody_came
	is_quiet
	kill -0 "$PEERS"
	release_peers "$seated"
	finish_peers
	stop_clean
}

small_table() {
	event_loop --slots 4
	peer random --acks --connections 12 --seconds 1
	peer flash --connections 50 --total 1000
	peer ping --acks --connections 1 --count 10 --chunk 100
	stop_clean
}

random_peers() {
	event_loop
	peer random --acks --connections 30 --seconds 2
	stop_clean
}

@test "day 4: 100 idle peers cost no processor time; a full table: accepting pauses, is quiet, and resumes when a slot is free; a small table under peers of every kind; random peers (a failure names the seed)" {
	at_once idle_peers full_table small_table random_peers
}

everybody_came() {
	(($(ss -Htn state established state fin-wait-1 state fin-wait-2 "dport = :$PORT" | wc -l) >= 20))
}

@test "day 4: SIGUSR1 prints what has happened so far, and the service goes on" {
	event_loop
	peer ping --acks --connections 3 --count 10 --chunk 10
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^connections: 3, completions: [0-9]+, waits: [0-9]+, completions a wait: [0-9.]+' 1
	peer ping --acks --connections 3 --count 10 --chunk 10
	stop_clean
	has_lines "$LOG" '^connections: 3, ' 1
	has_lines "$LOG" '^connections: 6, ' 1
}

@test "day 4: SIGINT ends it like SIGTERM, and the port can be bound again at once" {
	event_loop
	start_peers ping --acks --connections 20 --count 1 --chunk 10 --hold
	stop_within INT "$(within 1000)"
	start_server ./day04/event-loop "$PORT"
	peer ping --acks --connections 2 --count 2 --chunk 10
	stop_clean
}

@test "day 4: IPv6" {
	[ -e /proc/net/if_inet6 ] && grep -q 'lo$' /proc/net/if_inet6 || skip "no IPv6 here"
	event_loop --bind ::1
	grep -qF "listening on [::1]:$PORT" "$LOG"
	peer ping --acks --to ::1 --connections 2 --count 2 --chunk 10
	stop_clean
}

@test "day 4: bad options" {
	refuses ./day04/event-loop --slots 0
	refuses ./day04/event-loop --slots -1
	refuses ./day04/event-loop --slots 4x
	refuses ./day04/event-loop --slots 40000
	refuses ./day04/event-loop --slots
	refuses ./day04/event-loop --nonsense
	refuses ./day04/event-loop 70000
	refuses ./day04/event-loop 7004x
	refuses ./day04/event-loop ''
	refuses ./day04/event-loop 7004 7005
}

@test "day 4: --help goes to standard output" {
	run --separate-stderr ./day04/event-loop --help
	[ "$status" = 0 ]
	[[ $output == Usage:* ]]
	[ -z "$stderr" ]
}

@test "day 4: a full table turns nobody away: 300 peers at a table of 16" {
	event_loop --slots 16
	peer stream --acks --connections 300 --bytes 30000
	stop_clean
}

@test "day 4: SIGTERM in the middle of everything: it stops listening, prints its counts and leaves, status 0" {
	event_loop
	launch_peers stream --acks --cut-short --connections 30 --bytes 1000000000
	wait_until are_connected 30
	stop_within TERM "$(within 1000)"
	finish_peers
	has_lines "$LOG" '^connections: 30, completions: [0-9]+, waits: [0-9]+' 1
	[ ! -s "$LOG.err" ]
	is_closed
}

@test "day 4: nobody reads its output any more: it serves on" {
	LOG=$BATS_TEST_TMPDIR/first-line
	touch "$LOG"
	./day04/event-loop 0 > >(head -n 1 >"$LOG") 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	wait_until listens
	PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$LOG")
	kill -USR1 "$PID"
	peer ping --acks --count 1
	stop_within TERM "$(within 2500)"
}
