# What is true of a correct echo server, whatever its clients do. The tests of days 5 and 6, of the proxy in front
# of an echo server, and of the epoll server that day 6 is measured against call these, each of which starts ECHO, an
# array of words, with the options given. Where they take too long, CROWD makes the crowds of unruly and absent
# clients smaller.

# echo_server [OPTION]...: starts it; sets PID, PORT and LOG.
echo_server() {
	start_server "${ECHO[@]}" "$@" 0
}

echoes_streams() {
	echo_server "$@"
	peer stream --connections 4 --bytes "$(scaled "${STREAM_BYTES:-20000000}")"
	peer stream --connections 50 --bytes "$(scaled 500000)" --chunk 777
	stop_clean
}

echoes_to_late_readers() {
	echo_server "$@"
	peer stream --late --connections 4 --bytes "$(scaled "${STREAM_BYTES:-20000000}")"
	peer stream --late --small --connections 20 --bytes "$(scaled 300000)"
	stop_clean
}

echoes_messages() {
	echo_server "$@"
	peer ping --connections 100 --count 20 --chunk 512
	peer ping --connections 2 --count 20 --chunk 100000
	peer ping --connections 20 --count 20 --split
	peer stream --connections 20 --bytes "$(scaled 1000)" --chunk 1
	stop_clean
}

# The peer has sent and half-closed long before it has read: all comes back, then end-of-file.
half_closes() {
	echo_server "$@"
	peer stream --connections 50 --bytes 1
	peer stream --connections 50 --bytes 0
	peer stream --connections 50 --bytes 100000
	peer stream --connections 20 --bytes 60000 --pace 300
	peer stream --small --connections 20 --bytes 60000 --pace 300
	stop_clean
}

# absent_peers_harm_nobody PEERS [OPTION]...: all but one refuse to read, and that one is answered at
# once; nothing is busy meanwhile, and no byte is lost once the others read.
absent_peers_harm_nobody() {
	local peers=$1

	shift
	echo_server "$@"
	start_peers absent --small --drain --connections "$peers"
	cat "$PEERS_LOG"
	peer ping --connections 1 --count 200 --chunk 2000 --reply-ms "$(within 1000)"
	peer stream --connections 1 --bytes "$(scaled 5000000)"
	is_quiet
	release_peers
	stop_clean
}

# The same without limits on what the kernel takes.
absent_peers_with_large_windows() {
	echo_server "$@"
	start_peers absent --drain --connections 4
	cat "$PEERS_LOG"
	peer ping --connections 5 --count 100 --chunk 2000 --reply-ms "$(within 1000)"
	release_peers
	stop_clean
}

survives_resets() {
	local crowd=${CROWD:-40}

	echo_server "$@"
	start_peers ping --connections 3 --count 5 --chunk 1000 --hold --drain
	peer reset --connections "$crowd" --total $((5 * crowd)) --bytes 300000
	peer reset --small --connections "$crowd" --total $((5 * crowd)) --bytes 100000
	peer ping --connections 10 --count 20 --chunk 1000 --reply-ms "$(within 1000)"
	release_peers
	stop_clean
}

survives_flashes() {
	echo_server "$@"
	peer flash --connections 200 --total "$(scaled 5000)"
	peer ping --connections 10 --count 10 --chunk 1000
	stop_clean
}

# serves_a_crowd PEERS [OPTION]...
serves_a_crowd() {
	local peers=$1

	need_descriptors $((peers + 100))
	shift
	echo_server "$@"
	peer ping --connections "$peers" --count 3 --chunk 500
	stop_clean
}

survives_random_peers() {
	echo_server "$@"
	peer random --connections "${CROWD:-40}" --seconds 1
	stop_clean
}

# A table of two: further peers wait, nobody is forgotten or turned away, and waiting is quiet.
resumes_at_the_limit() {
	echo_server "$@" --connections 2
	start_peers ping --connections 2 --count 5 --chunk 1000 --hold --drain
	local seated=$PEERS
	launch_peers stream --connections 30 --bytes 5000
	wait_until are_connected 30
	is_quiet
	kill -0 "$PEERS"
	release_peers "$seated"
	finish_peers
	cat "$PEERS_LOG"
	peer random --connections 10 --seconds 1 --bytes 100000
	stop_clean
}

# What the server has received before the signal is sent, then end-of-file, to peers that read as soon
# as the signal has come. All that they send is received because it fits into what the kernel holds for
# a peer that does not read: 13 KB or more, depending on the congestion control and on what is remembered
# of earlier connections (ip tcp_metrics). Of larger amounts, which the server itself holds in part, see
# the next function.
sends_what_it_received() {
	echo_server "$@"
	start_peers absent --small --drain --server-ends --connections 20 --bytes 10000
	wait_until has_read_all
	kill -TERM "$PID"
	wait_until is_closed
	release_peers
	ends_with_status_0
}

# The peers have sent more than the server takes, and all is at rest: it has received what was sent, but
# for what is still on its way. At least so much comes back. (Not --small where the machine is quick enough:
# megabytes lie unsent in the server's sockets, and would be lost by a close that finds bytes unread.)
sends_what_it_received_of_more() {
	local received answered small=()

	if sanitized; then
		small=(--small)
	fi
	echo_server "$@"
	start_peers absent "${small[@]}" --drain --cut-short --connections 2
	received=$(($(number_after 'bytes sent' "$PEERS_LOG") - $(bytes_on_the_way)))
	kill -TERM "$PID"
	wait_until is_closed
	release_peers
	answered=$(number_after 'bytes answered' "$PEERS_LOG")
	echo "received before the signal: $received, sent back: $answered"
	((received > 0 && answered >= received))
	ends_with_status_0
}

# number_after TEXT FILE: the number that follows on TEXT, the last time that it comes.
number_after() {
	sed -n "s/.*$1: \([0-9]*\).*/\1/p" "$2" | tail -n 1
}

# What the peers have sent and the server has not received: not yet acknowledged, or not yet read.
bytes_on_the_way() {
	{
		ss -Htn state established "dport = :$PORT" | awk '{ print $2 }'
		ss -Htn state established "sport = :$PORT" | awk '{ print $1 }'
	} | awk '{ sum += $1 } END { print sum }'
}

ends_with_status_0() {
	wait_for_end
	[ "$status" = 0 ]
}

# ends_despite_absent_peers [OPTIONS]...: peers that do not read, some of which have sent more than is taken, get the
# time of grace. A server for each of the options, which are one word of several, or for none; they get the signal at
# the same time, for the grace takes its time.
ends_despite_absent_peers() {
	local options servers=() logs=() begin took i

	for options in "${@:-}"; do
		# shellcheck disable=SC2086 # several options
		echo_server $options
		servers+=("$PID")
		logs+=("$LOG")
		start_peers absent --small --cut-short --connections 50
		start_peers absent --connections 20 --bytes 50000 --hold
	done
	begin=$(now_ms)
	kill -TERM "${servers[@]}"
	for i in "${!servers[@]}"; do
		PID=${servers[i]} LOG=${logs[i]}
		ends_with_status_0
		took=$(($(now_ms) - begin))
		echo "server $i: status $status after $took ms"
		((took <= $(within 2500)))
		[ ! -s "$LOG.err" ]
	done
}

# What comes back from a server that ends under load is right as far as it goes.
ends_under_load() {
	echo_server "$@"
	launch_peers stream --cut-short --connections 30 --bytes 1000000000
	wait_until are_connected 30
	stop_within TERM "$(within 2500)"
	finish_peers
	[ ! -s "$LOG.err" ]
}

# A second signal ends it at once: one that isn't the first one sent twice, so it's sent until it is heard.
ends_at_once_on_the_second_signal() {
	local begin took

	echo_server "$@"
	start_peers absent --small --cut-short --connections 10
	kill -TERM "$PID"
	wait_until is_closed
	begin=$(now_ms)
	wait_until ends_when_asked_again
	wait_for_end
	took=$(($(now_ms) - begin))
	echo "ended $took ms after the second signal, status $status"
	((took <= $(within 1000)))
}

ends_when_asked_again() {
	kill -TERM "$PID" 2>/dev/null || true
	has_ended "$PID"
}

# While it still waits for its peers, the port is free for its successor.
frees_the_port_at_once() {
	local predecessor

	echo_server "$@"
	start_peers absent --small --cut-short --connections 10
	predecessor=$PID
	kill -TERM "$PID"
	wait_until is_closed
	start_server "${ECHO[@]}" "$@" "$PORT"
	kill -0 "$predecessor"
	peer ping --connections 3 --count 3 --chunk 1000
	stop_clean
	end_peers
	PID=$predecessor
	ends_with_status_0
}

is_quiet_when_idle() {
	echo_server "$@"
	start_peers ping --connections 100 --count 2 --chunk 1000 --hold --drain
	is_quiet 2 2
	release_peers
	stop_clean
}

# Nagle's algorithm, which TCP_NODELAY turns off, holds back a second small segment until the first one is
# acknowledged, and the peer's kernel acknowledges it 40 ms later, or at once with what the peer sends next. So
# the server has to send a message back in pieces, and the peer has to send nothing between them: the message
# is larger than all buffers of the server together, and small enough to leave the peer in one segment.
MESSAGE_IN_PIECES=1500

mean_reply_in_pieces() {
	peer ping --connections 1 --count 30 --chunk "$MESSAGE_IN_PIECES" |
		sed -n 's/.*mean reply: \([0-9]*\) us.*/\1/p'
}

# does_not_delay OPTION...: which give the server less room than MESSAGE_IN_PIECES.
does_not_delay() {
	local with without

	need strace strace
	echo_server "$@"
	with=$(mean_reply_in_pieces)
	stop_clean
	# Its setsockopt(2) made to do nothing: if that made no difference, there would be nothing to see.
	start_server strace -D -qq -f -o "$BATS_TEST_TMPDIR/strace" -e trace=setsockopt \
		-e inject=setsockopt:retval=0 "${ECHO[@]}" "$@" 0
	without=$(mean_reply_in_pieces)
	echo "mean reply: $with us, without TCP_NODELAY: $without us"
	((with < 15000 && without > 20000))
}
