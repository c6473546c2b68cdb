#!/usr/bin/env bats
# Day 7: what crosses the proxy, and what doesn't; and that it lives, whatever its peers do.
# PROXY=haproxy bats tests/day07.bats -f '^crosses:': the same questions to another proxy (also nginx, socat).

load helpers
load peers
load conformance
load proxies

setup() {
	ECHO=("$(write_to_upstream)")
	FEW=(--buffers 4)
	FEW_SMALL=(--buffers 4 --buffer-size 512)
	LEAST=(--buffers 1 --buffer-size 1)
}

teardown() {
	end_servers
}

# 1. An end crosses as an end.

@test "crosses: a request, its end, the answer, its end" {
	start_upstream --after 100000 --send 200000
	start_proxy
	hears 'sent 100000, received 200000, then EOF' client --send 100000
	upstream_hears 'sent 200000, received 100000, then EOF'
	stop_proxy
}

@test "crosses: the end of an upstream that half-closes first, while the client goes on" {
	start_upstream --send 1000
	start_proxy
	start_client --send 3000000 --after 1000 --on-signal
	sleep 0.1 # for an EOF that would end more than it should
	release "$CLIENT"
	client_hears 'sent 3000000, received 1000, then EOF'
	upstream_hears 'sent 1000, received 3000000, then EOF'
	stop_proxy
}

@test "crosses: the end of a client that half-closes first, while the upstream takes its time" {
	start_upstream --send 3000000 --then hold --on-signal
	start_proxy
	start_client --send 1000
	sleep 0.1
	release "$UPSTREAM"
	client_hears 'sent 1000, received 3000000, then EOF'
	upstream_hears 'sent 3000000, received 1000, then EOF'
	stop_proxy
}

@test "crosses: the ends of two that say nothing at all" {
	start_upstream
	start_proxy
	hears 'sent 0, received 0, then EOF' client
	upstream_hears 'sent 0, received 0, then EOF'
	stop_proxy
}

@test "crosses: one byte at a time, both ways at once" {
	start_upstream --send 500 --chunk 1 --chunk-ms 1
	start_proxy
	hears 'sent 700, received 500, then EOF' client --send 700 --chunk 1 --chunk-ms 1
	upstream_hears 'sent 500, received 700, then EOF'
	stop_proxy
}

@test "crosses: streams both ways at once, every byte in its place" {
	local bytes

	bytes=$(scaled 100000000)
	start_upstream --send "$bytes"
	start_proxy
	hears "sent $bytes, received $bytes, then EOF" client --send "$bytes"
	upstream_hears "sent $bytes, received $bytes, then EOF"
	stop_proxy
}

@test "crosses: a stream to a client that reads slowly, and one to an upstream that does" {
	start_upstream --send 1000000 --pace 5000
	start_proxy
	hears 'sent 1000000, received 1000000, then EOF' client --send 1000000 --pace 5000
	upstream_hears 'sent 1000000, received 1000000, then EOF'
	stop_proxy
}

@test "crosses: urgent data, in the stream and at its place" {
	start_echo
	start_proxy
	run -0 timeout 20 ./build/tests/urgent "$PORT"
	[ "$output" = abcdefg ]
	stop_proxy
}

# 2. An error crosses as an error.

@test "crosses: a reset of the upstream: a truncated answer does not look whole" {
	start_upstream --after 10 --send 1000 --then reset
	start_proxy
	hears 'sent 10, received 1000, then reset' client --send 10 --then hold
	stop_proxy
}

@test "crosses: a reset of the upstream, to a client that has half-closed" {
	start_upstream --after 10 --send 1000 --then reset
	start_proxy
	hears 'sent 10, received 1000, then reset' client --send 10
	stop_proxy
}

@test "crosses: a reset of the upstream without an answer" {
	start_upstream --after 10 --then reset
	start_proxy
	hears 'sent 10, received 0, then reset' client --send 10 --then hold
	stop_proxy
}

@test "crosses: a reset of the client" {
	start_upstream --then hold
	start_proxy
	start_client --send 1000 --then reset --on-signal
	release "$CLIENT"
	upstream_hears 'sent 0, received 1000, then reset'
	stop_proxy
}

@test "crosses: a reset of the client, while the upstream sends" {
	start_upstream --send 2000000000 --then hold
	start_proxy
	client --after 1000000 --then reset
	upstream_hears 'sent [0-9]+, received 0, then reset'
	stop_proxy
}

@test "crosses: a reset of the client, to an upstream that has half-closed" {
	start_upstream --send 10
	start_proxy
	start_client --send 1000 --after 10 --then reset --on-signal
	sleep 0.1
	release "$CLIENT"
	upstream_hears 'sent 10, received 1000, then EOF, then reset|sent 10, received 1000, then reset'
	stop_proxy
}

@test "crosses: an upstream that refuses is a reset, no end" {
	start_upstream
	end_upstream
	start_proxy
	hears 'sent 0, received 0, then reset' client --then hold
	stop_proxy
}

@test "crosses: an upstream that never answers is a reset, after the limit" {
	start_upstream --full
	start_proxy --connect-time 300
	hears 'sent 10, received 0, then reset' client --send 10 --then hold
	stop_proxy
}

@test "crosses: an upstream that is killed in the middle of its answer" {
	start_upstream --send 10 --then hold
	start_proxy
	start_client --send 100 --then hold
	wait_until grep -q . "$CLIENT_LOG"
	kill -KILL "$UPSTREAM"
	client_hears 'sent 100, received 10, then (EOF|reset)'
	stop_proxy
}

# 3. The way out.

@test "day 7: a connect takes as long as --connect-time, and no longer" {
	local begin took

	start_upstream --full
	start_proxy --connect-time 700
	begin=$(now_ms)
	hears 'sent 0, received 0, then reset' client --then hold
	took=$(($(now_ms) - begin))
	echo "reset after $took ms"
	((took >= 650 && took <= $(within 2000)))
	wait_until are_connecting 1
	stop_clean
	grep -q 'not connected: 1$' "$LOG"
}

@test "day 7: a client that leaves while the connect is in flight: no SYN goes on after that" {
	start_upstream --full
	start_proxy --connect-time 60000
	start_client --then reset --on-signal
	wait_until are_connecting 2
	release "$CLIENT"
	wait_until are_connecting 1
	stop_clean
	grep -q 'not connected: 1$' "$LOG"
}

@test "day 7: what a client has sent, and its EOF, wait for the connect" {
	start_upstream
	start_proxy
	kill -STOP "$UPSTREAM" # the kernel connects, and the program doesn't accept
	start_client --send 200000
	kill -CONT "$UPSTREAM"
	client_hears 'sent 200000, received 0, then EOF'
	upstream_hears 'sent 0, received 200000, then EOF'
	stop_clean
}

# with_two_addresses COMMAND...: both.test is ::1 and 127.0.0.1, in this order. For start_server.
with_two_addresses() {
	printf '::1 both.test\n127.0.0.1 both.test\n' >"$BATS_TEST_TMPDIR/hosts"
	# shellcheck disable=SC2016 # the inner shell's
	exec unshare --mount sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$BATS_TEST_TMPDIR/hosts" "$@"
}

@test "day 7: every address of a name is tried" {
	grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback interface"
	unshare --mount true || skip "no mount namespaces here"
	for address in 127.0.0.1 ::1; do
		start_upstream --address "$address" --send 10
		start_server with_two_addresses ./day07/proxy 0 "both.test:$UPSTREAM_PORT"
		hears 'sent 10, received 10, then EOF' client --send 10
		stop_clean
	done
}

@test "day 7: IPv6 on both sides" {
	grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback interface"
	start_upstream --address ::1 --send 10
	start_server ./day07/proxy --bind ::1 0 "[::1]:$UPSTREAM_PORT"
	grep -qF "listening on [::1]:$PORT" "$LOG"
	hears 'sent 10, received 10, then EOF' client --address ::1 --send 10
	stop_clean
}

# in_network COMMAND...: in one that has a loopback interface and nothing else. For `run` and start_server.
in_network() {
	exec nsenter "--net=/proc/$NETWORK/ns/net" "$@"
}

make_network() {
	unshare --net true || skip "no network namespaces here (unshare --net)"
	unshare --net sleep 1000 3>&- &
	NETWORK=$!
	SERVERS+=("$NETWORK")
	wait_until has_its_own
	nsenter "--net=/proc/$NETWORK/ns/net" ip link set lo up
}

has_its_own() {
	[ "$(readlink "/proc/$NETWORK/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

@test "day 7: an upstream that can't be reached is a reset at once" {
	make_network
	start_server in_network ./day07/proxy 0 192.0.2.1:80
	hears 'sent 0, received 0, then reset' in_network "$END" --client --then hold "$PORT"
	stop_clean
	grep -q 'not connected: 1$' "$LOG"
}

@test "day 7: no port is left: that client is reset, a line says why, and the others go on" {
	local seated=()

	make_network
	start_server in_network "$END" --then hold 0
	UPSTREAM_PORT=$PORT UPSTREAM_LOG=$LOG
	start_server in_network ./day07/proxy --bind 0.0.0.0 0 "127.0.0.1:$UPSTREAM_PORT"
	(in_network sh -c 'echo 9000 9001 >/proc/sys/net/ipv4/ip_local_port_range')
	for number in 1 2; do
		in_network "$END" --client --on-signal "$PORT" >"$BATS_TEST_TMPDIR/seated.$number" 3>&- &
		seated+=("$!")
		SERVERS+=("$!")
		wait_until grep -q ready "$BATS_TEST_TMPDIR/seated.$number"
	done
	wait_until has_pairs 2
	hears 'sent 0, received 0, then reset' in_network "$END" --client --address 127.0.0.2 --then hold "$PORT"
	grep -q 'connecting to the upstream: Cannot assign requested address' "$LOG.err"
	release "${seated[0]}"
	release "${seated[1]}"
	upstream_hears 'sent 0, received 0, then EOF' 2
	stop_within TERM "$(within 2500)"
	grep -q 'not connected: 1$' "$LOG"
}

# has_pairs N: so many connects have succeeded.
has_pairs() {
	(($(in_network ss -Htn state established "dport = :$UPSTREAM_PORT" | wc -l) >= $1))
}

@test "day 7: no descriptor is left: that client is reset, a line says why, and the others go on" {
	start_upstream --send 10 --then hold
	start_proxy
	start_client --after 10 --on-signal
	prlimit --pid "$PID" --nofile="$(first_free_descriptor):"
	hears 'sent 0, received 0, then reset' client --then hold
	grep -q 'connecting to the upstream: Too many open files' "$LOG.err"
	prlimit --pid "$PID" --nofile=100:
	hears 'sent 10, received 10, then EOF' client --send 10
	release "$CLIENT"
	client_hears 'sent 0, received 10, then EOF'
	stop_within TERM "$(within 2500)"
	grep -q 'not connected: 1$' "$LOG"
}

first_free_descriptor() {
	local fd=0

	while [ -e "/proc/$PID/fd/$fd" ]; do
		fd=$((fd + 1))
	done
	echo "$fd"
}

# 4. Backpressure, and who waits for whom.

# What the upstream and the clients have sent lies in the kernel's buffers, ten megabytes and more a pair.
# absent_clients_harm_nobody [OPTION]...: clients that never read stop their upstreams, and nobody else.
absent_clients_harm_nobody() {
	start_echo
	start_proxy "$@"
	start_peers absent --connections "$(scaled 20)"
	peer ping --connections 1 --count 200 --chunk 2000 --reply-ms "$(within 2000)"
	peer stream --connections 1 --bytes "$(scaled 5000000)"
	wait_until is_quiet
	end_peers
	stop_within TERM "$(within 2500)"
}

deaf_upstream() {
	start_upstream --deaf --small --then hold
	start_proxy
	start_client --connections 5 --send 20000000
	wait_until is_quiet
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: ' 1
	(($(sed -n 's/^bytes: \([0-9]*\),.*/\1/p' "$LOG") < 5 * 20000000))
	[ "$(cat "$CLIENT_LOG")" = ready ]
	release "$UPSTREAM"
	upstream_hears "sent 0, received 20000000, then EOF" 5
	stop_clean
}

late_clients() {
	start_echo
	start_proxy
	# Not without a limit, nor with windows that grow: where both directions of a connection are full, Linux 6.18 may
	# drop a segment and then each acknowledgement that comes with a later one, so that it stands for minutes.
	start_peers absent --drain --small --bytes 20000000 --connections 4
	release_peers
	stop_clean
}

idle_pairs() {
	start_echo
	is_quiet_when_idle
	run ! grep -vE '^(memory|listening|connections|bytes|silent)' "$LOG"
}

@test "day 7: clients that never read stop their upstreams, and nobody else; an upstream that never reads stops its clients, and when it reads, all of it is there; clients that read in the end get all of it; idle pairs cost no processor time, and no output" {
	at_once absent_clients_harm_nobody "absent_clients_harm_nobody ${FEW[*]}" deaf_upstream late_clients idle_pairs
}

@test "day 7: one client that never reads holds a few buffers, not the pool" {
	is_recent || skip "a burst has no bound on older kernels: as long as bytes keep coming, it takes them all"
	start_echo
	start_proxy
	start_peers absent --connections 1
	peer ping --connections 10 --count 50 --chunk 10000
	end_peers
	stop_within TERM "$(within 2500)"
	grep 'buffer ring empty: 0,' "$LOG"
}

# 5. Day 5's conformance, with day 5's server behind the proxy.

@test "day 7: streams, through the proxy and back" {
	start_echo
	echoes_streams
	echoes_streams "${FEW[@]}"
}

@test "day 7: streams, 4 buffers of 512 bytes, and one of one byte" {
	STREAM_BYTES=2000000
	start_echo
	echoes_streams "${FEW_SMALL[@]}"
	echo_server "${LEAST[@]}"
	peer stream --connections 4 --bytes 30000
	peer ping --connections 20 --count 5 --chunk 512
	stop_clean
}

@test "day 7: messages, even one byte at a time" {
	start_echo
	echoes_messages
	echoes_messages "${FEW[@]}"
}

@test "day 7: late readers" {
	start_echo
	echoes_to_late_readers
	echoes_to_late_readers "${FEW[@]}"
}

@test "day 7: half-closed clients get all their bytes, then EOF, however slowly they read" {
	start_echo
	at_once half_closes "half_closes ${FEW_SMALL[*]}"
}

@test "day 7: random clients (a failure names the seed)" {
	start_echo
	at_once survives_random_peers "survives_random_peers ${FEW_SMALL[*]}"
}

@test "day 7: resets with data on the way, and clients that connect and leave at once" {
	start_echo
	survives_resets
	survives_resets "${FEW[@]}"
	survives_flashes "${FEW[@]}"
}

@test "day 7: 2,000 clients at once, and in a table of two" {
	start_echo
	serves_a_crowd 2000
	at_once "serves_a_crowd 500 ${FEW[*]}" resumes_at_the_limit
}

@test "day 7: 1,000 pairs at once, each with bytes of its own" {
	need_descriptors 4000
	start_upstream --quiet --send 20000
	start_proxy
	run -0 client --quiet --connections 1000 --send 30000
	[ "$output" = ready ]
	stop_clean
	grep -q '^bytes: 50000000,' "$LOG"
}

# An exchange of messages of 1,500 bytes that the proxy, with its small buffers, sends on in pieces, and that the
# upstream answers when all of one has come. Held back, a piece waits for the upstream's delayed acknowledgement.
exchange_ms() {
	local begin

	begin=$(now_ms)
	hears 'sent 30000, received 30000, then EOF' client --asks 1500 --send 30000 >/dev/null
	echo $(($(now_ms) - begin))
}

@test "day 7: small pieces are not held back: TCP_NODELAY on the way out, too" {
	local with without

	need strace strace
	start_upstream --answers 1500 --send 30000 --then hold
	start_proxy --buffers 2 --buffer-size 512
	with=$(exchange_ms)
	stop_clean
	# Its setsockopt(2) made to do nothing: if that made no difference, there would be nothing to see.
	start_server strace -D -qq -f -o "$BATS_TEST_TMPDIR/strace" -e trace=setsockopt \
		-e inject=setsockopt:retval=0 "${ECHO[@]}" --buffers 2 --buffer-size 512 0
	without=$(exchange_ms)
	echo "20 messages and answers: $with ms, without TCP_NODELAY: $without ms"
	((4 * with < without))
}

@test "day 7: memory stays below the bound that is printed at start" {
	local before bound

	sanitized && skip "the sanitizers' own memory is not bounded"
	start_echo
	start_proxy --connections 600 --buffers 16 --buffer-size 4096
	bound=$(sed -n 's/^memory: at most \([0-9]*\) KiB.*/\1/p' "$LOG")
	before=$(rss_kib)
	start_peers absent --connections "$(scaled 20)"
	peer ping --connections 100 --count 5 --chunk 5000
	echo "bound: $bound KiB, before: $before KiB, now: $(rss_kib) KiB"
	((bound > 0 && bound < 42000))
	(($(rss_kib) - before <= bound + 256))
	end_peers
	stop_clean
}

# 6. Silence.

# So slowly that a send waits for several limits until there is room again.
takes_slowly() {
	start_upstream --send 100000000 --then hold
	start_proxy --idle 500
	start_client --pace 40 --then hold
	sleep 4 # in which a client that takes 16 KiB in each limit has taken 160,000 bytes
	[ "$(cat "$CLIENT_LOG")" = ready ]
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^silent for too long: 0, ' 1
	kill -KILL "$CLIENT"
	stop_within TERM "$(within 2500)"
}

has_its_eof_coming() {
	BYTES=$(scaled 2000000)
	start_upstream --send "$BYTES"
	start_proxy --idle 200
	hears "sent 0, received $BYTES, then EOF(, then reset)?" client --pace 500 --then hold
	upstream_hears "sent $BYTES, received 0, then (EOF|reset)"
	stop_clean
}

@test "day 7: a pair that is silent in both directions is broken off, and both are reset" {
	start_upstream --send 10 --then hold
	start_proxy --idle 300
	hears 'sent 10, received 10, then reset' client --send 10 --then hold
	upstream_hears 'sent 10, received 10, then reset'
	stop_clean
	grep -q '^silent for too long: 1, ' "$LOG"
}

bytes_in_one_direction() {
	start_upstream --send 12 --chunk 1 --chunk-ms 100 --then hold
	start_proxy --idle 600
	hears 'sent 0, received 12, then EOF' client
	stop_clean
	grep -q '^silent for too long: 0, ' "$LOG"
}

takes_nothing() {
	start_upstream --deaf --small --then hold
	start_proxy --idle 50 # sixteen times
	hears 'sent [0-9]+, received 0, then reset' client --send 100000000 --then hold
	stop_clean
	grep -q '^silent for too long: 1, ' "$LOG"
}

@test "day 7: a client that takes bytes slowly isn't cut off; one that has its EOF coming gets all, whoever is silent meanwhile; bytes in one direction keep a pair, half-closed or not; an upstream that takes nothing any more is broken off, in the end" {
	at_once takes_slowly has_its_eof_coming bytes_in_one_direction takes_nothing
}

# 7. The end.

@test "day 7: SIGTERM: silent pairs get their EOF, at once" {
	start_upstream --send 10 --then hold
	start_proxy
	start_client --connections 50 --after 10 --send 20 --then hold
	upstream_hears 'never' 0
	wait_until has_read_all
	sleep 0.3 # more than what a pair has to be silent for
	stop_within TERM "$(within 1000)"
	[ "$status" = 0 ]
	wait_until has_lines "$CLIENT_LOG" '^[0-9]+: sent 20, received 10, then EOF$' 50
	upstream_hears 'sent 10, received 20, then EOF' 50
}

@test "day 7: SIGTERM: what is on its way still crosses, and the ends, too" {
	start_upstream --send 1000000 --pace 4000
	start_proxy
	start_client --connections 5 --send 1000000 --pace 4000
	stop_within TERM "$(within 2500)"
	[ "$status" = 0 ]
	wait_until has_lines "$CLIENT_LOG" '^[0-9]+: sent 1000000, received 1000000, then EOF$' 5
	upstream_hears 'sent 1000000, received 1000000, then EOF' 5
}

@test "day 7: SIGTERM: a stream that is cut off does not look whole" {
	start_upstream --send 4000000000 --then hold
	start_proxy
	start_client --connections 5 --then hold
	stop_within TERM "$(within 2500)"
	[ "$status" = 0 ]
	wait_until has_lines "$CLIENT_LOG" '^[0-9]+: sent 0, received [0-9]+, then reset$' 5
	upstream_hears 'sent [0-9]+, received 0, then reset' 5
}

@test "day 7: SIGTERM: what was received before is sent, then EOF" {
	start_echo
	sends_what_it_received
	sends_what_it_received "${FEW_SMALL[@]}"
}

@test "day 7: SIGTERM under load" {
	start_echo
	ends_under_load
}

clients_that_do_not_read() {
	start_echo
	start_proxy
	start_peers absent --cut-short --connections 5
	stop_within TERM "$(within 2500)"
	[ "$status" = 0 ]
	end_peers
}

signal_while_connecting() {
	start_upstream --full
	start_proxy
	start_client --connections 3 --then hold
	wait_until are_connecting 4
	stop_within TERM "$(within 2500)"
	[ "$status" = 0 ]
	wait_until has_lines "$CLIENT_LOG" '^[0-9]+: sent 0, received 0, then reset$' 3
}

port_and_second_signal() {
	start_echo
	start_proxy
	start_peers absent --cut-short --connections 2
	kill -TERM "$PID"
	wait_until is_closed
	sleep 0.15 # a signal that comes at once is the first one's echo
	kill -TERM "$PID"
	wait_for_end
	[ "$status" = $((128 + 15)) ]
	end_peers
}

@test "day 7: SIGTERM: clients that do not read get at most two seconds; SIGTERM while connecting; the port is free at once, while pairs are waited for; a second signal ends it" {
	at_once clients_that_do_not_read signal_while_connecting port_and_second_signal
}

# Options, and real clients.

@test "day 7: bad options" {
	refuses ./day07/proxy
	[[ $stderr == *"HOST:PORT"* ]]
	refuses ./day07/proxy 7007
	refuses ./day07/proxy 7007 localhost
	refuses ./day07/proxy 7007 localhost:
	refuses ./day07/proxy 7007 :80
	refuses ./day07/proxy 7007 ::1:80
	[[ $stderr == *"[IPv6]"* ]]
	refuses ./day07/proxy 7007 '[::1]'
	refuses ./day07/proxy 7007 '[]:80'
	refuses ./day07/proxy 7007 localhost:0
	refuses ./day07/proxy 7007 localhost:65536
	refuses ./day07/proxy 7007 localhost:http
	refuses ./day07/proxy 7007 7008 localhost:80
	refuses ./day07/proxy 70000 localhost:80
	refuses ./day07/proxy --connect-time 0 localhost:80
	refuses ./day07/proxy --idle -1 localhost:80
	refuses ./day07/proxy --buffers 3 localhost:80
	refuses ./day07/proxy --connections 524289 localhost:80
}

@test "day 7: a name that nobody knows is said before it listens" {
	run --separate-stderr timeout 60 ./day07/proxy 0 no-such-host.invalid:80
	[ "$status" = 1 ]
	[[ $stderr == *"finding the address 'no-such-host.invalid'"* ]]
	[[ $output != *listening* ]]
}

@test "day 7: --help goes to standard output, and the default port is 7007" {
	run --separate-stderr ./day07/proxy --help
	[ "$status" = 0 ]
	[[ $output == Usage:*HOST:PORT*7007*--connect-time* ]]
	[ -z "$stderr" ]
}

@test "day 7: SIGUSR1 and the end print what has happened" {
	start_upstream --send 20 --then hold
	start_proxy
	hears 'sent 30, received 20, then EOF' client --send 30
	kill -USR1 "$PID"
	wait_until has_lines "$LOG" '^bytes: 50, buffer ring empty: 0, pauses: 0$' 1
	stop_clean
	has_lines "$LOG" '^connections: 1, completions: [0-9]+, waits: [0-9]+' 2
	has_lines "$LOG" '^silent for too long: 0, not connected: 0$' 2
}

@test "day 7: nc, and gzip through socat" {
	need nc netcat-openbsd
	need socat socat
	start_echo
	start_proxy
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/sent"
	nc -N 127.0.0.1 "$PORT" <"$BATS_TEST_TMPDIR/sent" | cmp - "$BATS_TEST_TMPDIR/sent"
	gzip -1 <"$BATS_TEST_TMPDIR/sent" | socat -t 10 - "TCP:127.0.0.1:$PORT" | gunzip |
		cmp - "$BATS_TEST_TMPDIR/sent"
	stop_clean
}

# The lesson.

# Times, addresses in memory and the upstream's port.
without_what_varies() {
	sed -E 's/^ +[0-9]+\.[0-9]{6} /TIME /; s/ *[0-9]+\.[0-9]{3} ms/ N ms/g; s/0x[0-9a-f]{12}\b/ADDRESS/g; s/127\.0\.0\.1:[0-9]+/UPSTREAM/; s/\bfd [0-9]+/fd N/g'
}

# traced PORT: takes the place of the shell it is in.
traced() {
	exec ./ringtrace -o "$BATS_TEST_TMPDIR/trace" ./day07/proxy "$1" "127.0.0.1:$UPSTREAM_PORT"
}

@test "day 7: what the lesson shows under ringtrace is what one pair makes it print" {
	local shown

	sanitized && skip "the recorder wants to be the first that is loaded"
	start_echo
	start_server traced 0
	exec {client}<>"/dev/tcp/127.0.0.1/$PORT"
	sleep 0.3 # so that the connect is one pass and the bytes are another
	echo 'hello, ring' >&"$client"
	read -r -t 20 <&"$client"
	sleep 0.3
	exec {client}>&-
	sleep 0.3
	stop_within TERM "$(within 2500)"
	shown=$(grep ' ring 1 ' day07-proxy/README.md | without_what_varies)
	[ "$(wc -l <<<"$shown")" -gt 30 ]
	# A shutdown is a worker's, and may complete before or after what the peer makes of it.
	diff <(grep -v submit_and_wait <<<"$shown" | sort) <(without_what_varies <"$BATS_TEST_TMPDIR/trace" |
		sed -n '/CQE  accept   = slot 0/,/CQE  close    = 0  user_data 0x700000000/p' | grep -v submit_and_wait | sort)
}

@test "day 7: the source, and what is new in it, stay as small as they are" {
	(($(wc -l <day07-proxy/proxy.c) <= 620))
	(($(diff day06-deadlines/deadlines.c day07-proxy/proxy.c | grep -c '^>') <= 270))
}
