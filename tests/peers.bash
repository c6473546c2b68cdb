# Crowds of peers (tests/peer.c) against the server that was started last, and what can be seen of it.

PEER=./build/tests/peer

# peer KIND [OPTION]...: runs a crowd to its end; fails unless everything held.
peer() {
	"$PEER" "$@" "$PORT"
}

# start_peers KIND [OPTION]...: starts a crowd that holds, and waits until it is ready. Sets PEERS, its
# process id, and PEERS_LOG, its output.
start_peers() {
	launch_peers "$@"
	wait_until are_ready
}

# launch_peers KIND [OPTION]...: the same, but does not wait.
launch_peers() {
	PEERS_LOG=$BATS_TEST_TMPDIR/peers.$BASHPID.${#SERVERS[@]}
	"$PEER" "$@" "$PORT" >"$PEERS_LOG" 2>&1 3>&- &
	PEERS=$!
	SERVERS+=("$PEERS")
}

are_ready() {
	if ! kill -0 "$PEERS"; then
		cat "$PEERS_LOG"
		exit 1
	fi
	grep -q '^ready' "$PEERS_LOG"
}

# finish_peers [PID]: waits for the end of a crowd (default: the last) and fails unless everything held.
finish_peers() {
	local pid=${1:-$PEERS}

	wait "$pid" || {
		cat "$BATS_TEST_TMPDIR"/peers.*
		return 1
	}
}

# release_peers [PID]: ends the hold of a crowd and waits for its end.
release_peers() {
	kill -USR1 "${1:-$PEERS}"
	finish_peers "${1:-$PEERS}"
}

# end_peers [PID]: kills a crowd: for a server that need not be seen waiting for it at its end.
end_peers() {
	kill -KILL "${1:-$PEERS}" || true # a slow machine's server has ended by now, and so have they
	wait "${1:-$PEERS}" || true
}

# scaled N: N, or a tenth of it where the programs check themselves and are slow.
scaled() {
	sanitized && echo $(($1 / 10)) || echo "$1"
}

# within MS: the limit in milliseconds, four times as long where the programs check themselves.
within() {
	sanitized && echo $(($1 * 4)) || echo "$1"
}

now_ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# stop_within SIGNAL MS: stops the server and fails unless that takes at most MS and the status is 0; or
# that of a program which knows no signals, as those of day 3 do not.
stop_within() {
	local begin took expected=0

	[[ $(readlink "/proc/$PID/exe") != */*(poll-)accept ]] || expected=$((128 + $(kill -l "$1")))
	begin=$(now_ms)
	kill -s "$1" "$PID"
	wait_for_end
	took=$(($(now_ms) - begin))
	echo "status $status after $took ms"
	((status == expected && took <= $2))
}

# wait_for_end: leaves the server's exit status in `status`; fails if it does not end.
wait_for_end() {
	wait_until has_ended "$PID"
	status=0
	wait "$PID" || status=$?
	cat "$LOG.err"
}

# stop_clean: what every server has to do in the end, without a word on standard error.
stop_clean() {
	stop_within TERM "$(within 2500)"
	[ ! -s "$LOG.err" ]
}

# are_connected COUNT: so many peers are, whether they have half-closed or not.
are_connected() {
	(($(ss -Htn state established state fin-wait-1 state fin-wait-2 "dport = :$PORT" |
		wc -l) >= $1))
}

rss_kib() {
	sed -n 's/^VmRSS:[ \t]*\([0-9]*\) kB/\1/p' "/proc/$PID/status"
}

# How often the server went to sleep or was put aside: one that sleeps all the time is not.
switches() {
	awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$PID/status"
}

# Processor time in clock ticks of 10 ms.
cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$PID/stat"
}

# is_quiet [SWITCHES [SECONDS]]: for so many seconds (1) the server neither uses the processor nor is
# woken more than so many times (2).
is_quiet() {
	local ticks switches

	ticks=$(cpu_ticks)
	switches=$(switches)
	sleep "${2:-1}" # the time that is measured
	ticks=$(($(cpu_ticks) - ticks))
	switches=$(($(switches) - switches))
	echo "in ${2:-1} s: $ticks ticks, $switches switches"
	((ticks <= 1 && switches <= ${1:-2}))
}

# refuses COMMAND [ARG]...: status 2, a message on standard error and nothing on standard output.
refuses() {
	run --separate-stderr timeout 10 "$@"
	echo "$* -> $status: $output $stderr"
	[ "$status" = 2 ]
	[ -z "$output" ]
	[[ $stderr == *"--help"* ]]
}

# The server has read all that has come: nothing waits in the receive queues of its sockets.
has_read_all() {
	ss -Htn state established "sport = :$PORT" | awk '$1 > 0 { waits = 1 } END { exit waits }'
}

# Nobody listens on the port any more.
is_closed() {
	[ -z "$(ss -Htln "sport = :$PORT")" ]
}

need_descriptors() {
	(($(ulimit -Hn) >= $1)) || skip "the hard limit on descriptors is below $1 (ulimit -Hn)"
}

# need PROGRAM PACKAGE
need() {
	command -v "$1" >/dev/null || skip "$1 is not installed (apt-get install $2)"
}
