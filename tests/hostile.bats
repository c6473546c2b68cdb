#!/usr/bin/env bats
# Hostile surroundings: io_uring that is forbidden, missing or used up, signals, debuggers, tight limits,
# and networks that lack something.

setup() {
	load helpers.bash
	load peers.bash
	PROGRAMS=(day01/setup day01/sqpoll day01/probe "day02/registered-files LICENSE" "day03/accept 0"
		"day03/poll-accept 0" "day04/event-loop 0" "day05/echo 0" "day06/deadlines 0")
	SERVER_PROGRAMS=(day03/accept day03/poll-accept day04/event-loop day05/echo day06/deadlines)
	# Then come shell commands that prepare it, and a command with its arguments.
	# shellcheck disable=SC2016 # for the inner shell
	IN_NETWORK=(unshare --net bash -c 'eval "$1" && exec "${@:2}"' bash)
	NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups)
}

teardown() {
	end_servers
}

# gives_up COMMAND [ARG]...: the program ends at once with status 1, and one line on standard error that
# begins with its name says why; the line is left in `reason`.
gives_up() {
	declare -F "$1" >/dev/null || set -- timeout 20 "$@"
	run --separate-stderr "$@"
	echo "$*: status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == ./day0[1-9]/* ]]
	reason=${stderr#*: }
}

# serves SERVER [PREFIX]...: what the server started last is for happens, to the byte; PREFIX is a command
# that starts the clients.
serves() {
	case $1 in
	day03/*) "${@:2}" build/tests/connect --count 20 "$PORT" ;;
	day04/*) "${@:2}" "$PEER" stream --acks --connections 5 --bytes 20000 "$PORT" ;;
	*) "${@:2}" "$PEER" stream --connections 5 --bytes 200000 "$PORT" ;;
	esac
}

# disturb SERVER COMMAND [ARG]...: runs the command again and again while the server is under load, for
# a second, and then fails unless every byte came back and the server ends in order.
disturb() {
	local server=$1 end

	start_server "./$server" 0
	case $server in
	day04/*) launch_peers random --acks --connections 30 --seconds 1 ;;
	*) launch_peers random --connections 30 --seconds 1 ;;
	esac
	# Once at least: a debugger takes its time on a busy machine.
	end=$(($(now_ms) + 1000))
	while
		"${@:2}"
		(($(now_ms) < end))
	do :; done
	finish_peers
	stop_within TERM "$(within 2500)"
	[ ! -s "$LOG.err" ]
}

# storm SIGNAL...: each of them to the server, 30 times.
storm() {
	local i signal

	for ((i = 0; i < 30; i++)); do
		for signal; do
			kill -s "$signal" "$PID"
		done
	done
}

stop_and_continue() {
	pause_server
	sleep 0.05 # the peers go on filling its sockets meanwhile
	kill -CONT "$PID"
}

# strace detaches when it is interrupted.
attach_strace() {
	timeout --signal INT 0.2 strace -qqq -f -A -o "$BATS_TEST_TMPDIR/attached.$BASHPID" -p "$PID" || true
}

attach_gdb() {
	gdb -p "$PID" --batch -nx -iex 'set debuginfod enabled off' -iex 'set auto-load off' -ex detach \
		>/dev/null 2>&1
}

backlog_is_full() {
	(($(inside ss -Htln "sport = :$PORT" | awk '{ print $2 }') > 2))
}

need_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root, $1"
}

need_user() {
	need_root "to become an ordinary user"
	command -v setpriv >/dev/null || skip "needs setpriv (package util-linux)"
	"${NOBODY[@]}" ./day01/setup --help >/dev/null || skip "an ordinary user cannot run programs in this directory"
}

# A network of one's own, in which a test may set what it likes.
need_network() {
	command -v ip >/dev/null || skip "needs ip (package iproute2)"
	unshare --net true 2>/dev/null || skip "this user may not make a network namespace"
}

# inside COMMAND [ARG]...: the command in the network of the server started last.
inside() {
	nsenter --target "$PID" --net "$@"
}

@test "io_uring is denied by a seccomp filter, as in a container: the reason and the way out" {
	for program in "${PROGRAMS[@]}"; do
		# shellcheck disable=SC2086 # a program and its arguments
		gives_up ./build/tests/deny EPERM io_uring_setup -- ./$program
		[[ "$reason" == *"Operation not permitted (the container's seccomp profile forbids io_uring"* ]] ||
			[[ "$reason" == *"Operation not permitted (kernel.io_uring_disabled is "[12]* ]]
		# shellcheck disable=SC2086
		gives_up ./build/tests/deny ENOSYS io_uring_setup -- ./$program
		[[ "$reason" == *"Function not implemented (this kernel, or the container"* ]]
	done
}

@test "only registering is denied: those that register say so, the others run" {
	for program in "day02/registered-files LICENSE" "day03/accept 0" "day04/event-loop 0" "day05/echo 0" "day06/deadlines 0"; do
		# shellcheck disable=SC2086 # a program and its arguments
		gives_up ./build/tests/deny EPERM io_uring_register -- ./$program
		[[ "$reason" == io_uring_register_*": Operation not permitted ("* ]]
	done
	./build/tests/deny EPERM io_uring_register -- ./day01/setup
	start_server ./build/tests/deny EPERM io_uring_register -- ./day03/poll-accept 0
	serves day03/poll-accept
}

@test "only submitting is denied: no program waits for what will never come" {
	for program in day01/setup "day02/registered-files LICENSE" "day03/accept 0" "day03/poll-accept 0" \
		"day04/event-loop 0" "day05/echo 0" "day06/deadlines 0"; do
		# shellcheck disable=SC2086 # a program and its arguments
		gives_up ./build/tests/deny EPERM io_uring_enter -- ./$program
		[[ "$reason" == "io_uring_submit"*": Operation not permitted" ]]
	done
}

@test "io_uring is switched off by kernel.io_uring_disabled" {
	# The setting is the whole machine's: everything else that uses io_uring would notice.
	[ "${ALONE_ON_THIS_MACHINE:-0}" = 1 ] || skip "changes the whole machine: only with ALONE_ON_THIS_MACHINE=1"
	[ -w /proc/sys/kernel/io_uring_disabled ] || skip "this kernel has no such setting (Linux 6.6 has), or not for us"
	local before setting
	before=$(</proc/sys/kernel/io_uring_disabled)
	for setting in 1 2; do
		for program in "${PROGRAMS[@]}"; do
			echo "$setting" >/proc/sys/kernel/io_uring_disabled
			# shellcheck disable=SC2086 # a program and its arguments
			run --separate-stderr timeout 20 "${NOBODY[@]}" ./$program
			echo "$before" >/proc/sys/kernel/io_uring_disabled
			[ "$status" -eq 1 ]
			[ "${#stderr_lines[@]}" -eq 1 ]
			[[ "$stderr" == *"Operation not permitted (kernel.io_uring_disabled is $setting: "* ]]
		done
	done
}

# no_ring ERROR: of io_uring_setup.
no_ring() {
	local program

	for program in "day04/event-loop 0" "day05/echo 0" "day06/deadlines 0"; do
		# shellcheck disable=SC2086 # a program and its arguments
		gives_up injected io_uring_setup "error=$1" ./$program
		[[ "$reason" == "opening a ring: "*" ("*")" ]]
		[ "$1" != EINVAL ] || [[ "$reason" == *"(this kernel lacks IORING_SETUP_DEFER_TASKRUN, which Linux 6.1 has; day 4 and later need it)" ]]
	done
}

@test "io_uring_setup fails: day 4 and later give the one line, too" {
	side_by_side 4 no_ring ENOSYS EPERM ENOMEM EMFILE ENFILE EINVAL
}

@test "a second signal ends day 6 at once, even if whoever started it ignored signals" {
	# What the shell ignores, the server inherits.
	start_server bash -c 'trap "" INT TERM && exec ./day06/deadlines 0'
	# They take their time to leave: they do not read that they should.
	start_peers absent --cut-short --connections 10 --bytes 1000
	kill -TERM "$PID"
	wait_until is_closed
	sleep 0.2 # one that comes at once counts as the same
	kill -INT "$PID"
	wait_for_end
	[ "$status" -eq 130 ]
}

# register_fails PROGRAM ARG CALL...: the calls that it makes, in this order.
register_fails() {
	local call=0 name error

	for name in "${@:3}"; do
		((++call))
		# liburing itself tries again after an EMFILE, with a raised limit: all from there on fail.
		for error in ENOSYS EPERM ENOMEM EMFILE EINVAL EBUSY; do
			gives_up injected io_uring_register "error=$error:when=$call+" "./$1" "$2"
			[[ "$reason" == *"io_uring_register_$name: "* ]]
			[ -z "$output" ] || [[ "$output" != *listening* ]]
		done
	done
}

@test "each call of io_uring_register fails in every way: one line that names it, and nothing left behind" {
	at_once "register_fails day02/registered-files LICENSE ring_fd files_sparse files_update" \
		"register_fails day05/echo 0 ring_fd files_sparse buf_ring" \
		"register_fails day06/deadlines 0 ring_fd files_sparse buf_ring" \
		"register_fails day03/accept 0 ring_fd files_sparse" \
		"register_fails day04/event-loop 0 ring_fd files_sparse"
}

storm_of_counts() {
	disturb day04/event-loop storm USR1
	(($(lines "$LOG" '^connections: ') > 2))
}

@test "a storm of signals, SIGSTOP and SIGCONT under load: no byte is lost; a storm of SIGUSR1: day 4 prints its counts, and no byte is lost" {
	at_once "disturb day04/event-loop storm WINCH URG CONT CHLD" "disturb day05/echo storm WINCH URG CONT CHLD" \
		"disturb day06/deadlines storm WINCH URG CONT CHLD" storm_of_counts \
		"disturb day04/event-loop stop_and_continue" "disturb day05/echo stop_and_continue" \
		"disturb day06/deadlines stop_and_continue"
}

disturbed_by_strace() {
	disturb "$1" attach_strace
	grep -q io_uring_enter "$BATS_TEST_TMPDIR/attached.$BASHPID"
}

@test "a debugger that comes and goes under load: no byte is lost" {
	need_strace
	side_by_side 3 disturbed_by_strace day04/event-loop day05/echo day06/deadlines
}

@test "gdb attaches under load, stops the server and lets it go on" {
	command -v gdb >/dev/null || skip "needs gdb (package gdb)"
	disturb day05/echo attach_gdb
}

@test "8 to 64 descriptors: a server says what it needs, or serves as many as it can" {
	for limit in 8 9 12 16 64; do
		# The table of direct descriptors counts against the limit, before there is a connection.
		gives_up prlimit --nofile="$limit" ./day03/accept 0
		[[ "$reason" == "io_uring_register_files_sparse: Too many open files (raise the limit on descriptors"* ]]
		gives_up prlimit --nofile="$limit" ./day04/event-loop 0
		[[ "$reason" == "io_uring_register_files_sparse: Too many open files (raise the limit on descriptors"* ]]

		start_server prlimit --nofile="$limit" ./day03/accept --slots 8 0
		serves day03/accept
		start_server prlimit --nofile="$limit" ./day03/poll-accept 0
		serves day03/poll-accept
		start_server prlimit --nofile="$limit" ./day04/event-loop --slots 8 0
		peer stream --acks --connections 8 --bytes 20000
		start_server prlimit --nofile="$limit" ./day05/echo 0
		[[ "$(<"$LOG")" == *"connections: $limit instead of "*"ulimit -Hn)"* ]]
		peer stream --connections "$limit" --bytes 200000
	done
}

# waits_for_predecessor BYTES SERVER [OPTION]...: with so much locked memory the server starts once another one like it,
# which still has its own, is gone. The kernel counts by user, so tests that run at the same time have one each.
waits_for_predecessor() {
	local as_user=(prlimit --memlock="$1" setpriv --reuid=65533 --regid=65533 --clear-groups "./$2" "${@:3}") first

	start_server "${as_user[@]}" 0
	first=$PID
	LOG=$BATS_TEST_TMPDIR/second
	"${as_user[@]}" 0 >"$LOG" 2>"$LOG.err" 3>&- &
	PID=$!
	SERVERS+=("$PID")
	sleep 0.1
	! grep -q '^listening' "$LOG" || skip "this kernel does not count a ring as locked memory"
	kill -KILL "$first"
	wait_until listens
	[ ! -s "$LOG.err" ]
	kill -KILL "$PID"
	sleep 0.2 # its memory is counted until then
}

@test "locked memory for one ring, as an ordinary user: a server waits for that of its predecessor, which the kernel still counts" {
	need_user
	waits_for_predecessor 200000 day04/event-loop
	waits_for_predecessor 200000 day05/echo
	# There is room for another ring, but not for its half a megabyte of buffers' places.
	waits_for_predecessor 750000 day05/echo --buffers 32768 --buffer-size 512
	waits_for_predecessor 750000 day06/deadlines --buffers 32768 --buffer-size 512
}

no_locked_memory() {
	local program server

	for program in "${PROGRAMS[@]}"; do
		# Linux 5.12 to 6.13 count rings as ordinary memory, later ones as locked memory again.
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr prlimit --memlock=0 "${NOBODY[@]}" timeout --preserve-status 3 ./$program
		[ "$status" -eq 0 ] || {
			[ "$status" -eq 1 ]
			[ "${#stderr_lines[@]}" -eq 1 ]
			[[ "$stderr" == *"(the limit on locked memory, or memory itself, is too small for this ring: raise the limit with ulimit -l"* ]]
		}
	done
	# With what Debian gives everybody the servers serve.
	for server in "${SERVER_PROGRAMS[@]}"; do
		start_server prlimit --memlock=8388608 "${NOBODY[@]}" "./$server" 0
		serves "$server"
	done
}

little_locked_memory() {
	local program
	local as_user=(prlimit --memlock=65536 setpriv --reuid=65532 --regid=65532 --clear-groups)
	run --separate-stderr "${as_user[@]}" ./day01/probe --days
	local verdicts=("${lines[@]}")
	[[ "${verdicts[0]}" == "day 1: can run here" ]]
	for program in "day03/accept 0" "day04/event-loop 0" "day05/echo 0" "day06/deadlines 0"; do
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr "${as_user[@]}" timeout 3 ./$program
		if [ -z "$stderr" ]; then
			[[ "${verdicts[${program:4:1} - 1]}" == *": can run here" ]]
		else
			[[ "${verdicts[${program:4:1} - 1]}" == *": cannot run: "*": Cannot allocate memory" ]]
		fi
	done
}

# Two users, for the kernel counts by user.
@test "no locked memory, as an ordinary user: the rings fit, or the limit is named; little of it: probe says which days can run, and is right" {
	need_user
	at_once little_locked_memory no_locked_memory
}

@test "little address space: the allocation that failed is named" {
	sanitized && skip "the sanitizers need address space themselves"
	gives_up prlimit --as=20000000 ./day05/echo 0
	[[ "$reason" == "mmap of "*" bytes: Cannot allocate memory" ]]
	gives_up prlimit --as=40000000 ./day04/event-loop --slots 16384 0
	[[ "$reason" == "mmap of "*" bytes: Cannot allocate memory" ]]
	start_server prlimit --as=30000000 ./day05/echo --connections 100 0
	serves day05/echo
}

@test "a port of the system's for an ordinary user" {
	need_user
	local server
	[ "$(</proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 1 ] || skip "here ordinary users may take any port"
	for server in "${SERVER_PROGRAMS[@]}"; do
		gives_up "${NOBODY[@]}" "./$server" 1
		[[ "$reason" == *": bind: Permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE: "* ]]
	done
}

# takes_over SERVER: three times from one that was killed.
takes_over() {
	local acks=() i

	[[ $1 != day04/* ]] || acks=(--acks)
	start_server "./$1" 0
	for i in 1 2 3; do
		start_peers ping --connections 300 --count 1 --cut-short --hold "${acks[@]}"
		kill -KILL "$PID"
		start_server "./$1" "$PORT"
	done
}

@test "a server that is started right after one was killed with 300 connections gets its port" {
	side_by_side 3 takes_over day04/event-loop day05/echo day06/deadlines
}

# waits_for_address SERVER
waits_for_address() {
	# Both system calls that can find it in use: 15 times, 10 ms apart.
	start_server injected bind,listen error=EADDRINUSE:when=1..15 "./$1" 0
	[[ "$(<"$LOG.err")" =~ ^"./$1: the port was in use for another "[0-9]+" ms"$ ]]
}

@test "an address that is in use for another moment: a server waits for it, and says how long" {
	side_by_side 5 waits_for_address "${SERVER_PROGRAMS[@]}"
}

@test "urgent data stays in the stream, at its place" {
	start_server ./day05/echo 0
	run -0 timeout 20 ./build/tests/urgent "$PORT"
	[ "$output" = abcdefg ]
	start_server ./day04/event-loop 0
	run -0 timeout 20 ./build/tests/urgent "$PORT"
	[ "$(awk '{ sum += $2 } END { print sum }' <<<"$output")" -eq 7 ]
}

# A host of its own, joined by a cable to the network of the server started last; sets HOST, a process
# there.
plug_in_host() {
	unshare --net sleep 1000 3>&- &
	HOST=$!
	SERVERS+=("$HOST")
	wait_until in_another_network "$HOST"
	inside ip link add cable type veth peer name cable netns "$HOST"
	inside ip address add 192.0.2.1/24 dev cable
	inside ip link set cable up
	nsenter --target "$HOST" --net ip address add 192.0.2.2/24 dev cable
	nsenter --target "$HOST" --net ip link set cable up
}

in_another_network() {
	[ ! "/proc/$1/ns/net" -ef /proc/self/ns/net ]
}

# host_peers KIND [OPTION]...: launches a crowd on that host, and waits until it is ready.
host_peers() {
	HOST_LOG=$BATS_TEST_TMPDIR/host
	nsenter --target "$HOST" --net "$PEER" "$@" --to 192.0.2.1 "$PORT" >"$HOST_LOG" 2>&1 3>&- &
	SERVERS+=("$!")
	wait_until grep -q ^ready "$HOST_LOG"
}

# host_vanishes SERVER PEERS: a server with a single slot, taken by such peers on a host that vanishes, and another
# peer that waits for the slot. Adds them to servers and waiting, and the server's log to logs.
host_vanishes() {
	local acks=()

	[[ $1 != day04* ]] || acks=(--acks)
	# shellcheck disable=SC2086 # a program and its options; a kind and its options
	start_server in_a_hurry "${IN_NETWORK[@]}" 'ip link set lo up' ./$1 1 --bind 0.0.0.0 0
	plug_in_host
	# shellcheck disable=SC2086
	host_peers $2 "${acks[@]}"
	nsenter --target "$HOST" --net ip link set cable down
	servers+=("$PID")
	logs+=("$LOG")
	inside "$PEER" ping --count 1 "${acks[@]}" "$PORT" 3>&- &
	waiting+=("$!")
	SERVERS+=("$!")
}

@test "a host that vanishes: its connection is given up and its slot is free, whether it was idle or owed bytes" {
	need_network
	local servers=() logs=() waiting=() i
	# Each takes two seconds to be given up, which they do at the same time.
	host_vanishes "day04/event-loop --slots" "ping --count 1 --hold"
	host_vanishes "day05/echo --connections" "ping --count 1 --hold"
	# TCP sends what was owed again for a quarter of an hour: a limit of the program's comes first.
	host_vanishes "day06/deadlines --idle 100 --connections" absent
	for i in "${!servers[@]}"; do
		wait_until has_ended "${waiting[i]}"
		wait "${waiting[i]}"
		PID=${servers[i]} LOG=${logs[i]}
		stop_within TERM "$(within 2500)"
	done
}

@test "a liburing that can: a server's waits are not counted as waiting for I/O" {
	local server

	for server in "${SERVER_PROGRAMS[@]}"; do
		start_server env LD_PRELOAD=./build/tests/uncounted.so UNCOUNTED="$BATS_TEST_TMPDIR/${server/\//-}" \
			ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "./$server" 0
		[ -e "$BATS_TEST_TMPDIR/${server/\//-}" ]
		serves "$server"
	done
}

# child_of PID: of the server that it has started in another namespace.
child_of() {
	pgrep -P "$1"
}

@test "process 1 of a container: every server ends on SIGTERM and on SIGINT" {
	need_root "to make a process namespace"
	unshare --fork --pid true 2>/dev/null || skip "this user may not make a process namespace"
	local server signal expected

	for server in "${SERVER_PROGRAMS[@]}" bench/epoll-echo; do
		for signal in TERM INT; do
			start_server unshare --fork --pid "./$server" 0
			kill -s "$signal" "$(child_of "$PID")"
			wait_until has_ended "$PID"
			status=0
			wait "$PID" || status=$?
			echo "$server, SIG$signal: $status"
			expected=0
			[[ $server != day03/* ]] || expected=$((128 + $(kill -l "$signal")))
			((status == expected))
		done
	done
}

@test "a network without IPv6: IPv4 is served, and asking for IPv6 is refused with a reason" {
	need_network
	local server no_ipv6='ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	[ -d /proc/sys/net/ipv6 ] || no_ipv6='ip link set lo up'
	for server in "${SERVER_PROGRAMS[@]}"; do
		gives_up "${IN_NETWORK[@]}" "$no_ipv6" "./$server" --bind ::1 0
		[[ "$reason" == "listening on '::1' port 0: "*" ("*")" ]]
		start_server "${IN_NETWORK[@]}" "$no_ipv6" "./$server" 0
		serves "$server" inside
	done
}

@test "no loopback: a server waits for it, and serves once it is there" {
	need_network
	for server in "${SERVER_PROGRAMS[@]}"; do
		start_server "${IN_NETWORK[@]}" true "./$server" 0
		run ! inside "$PEER" stream --bytes 1 "$PORT"
		inside ip link set lo up
		serves "$server" inside
		stop_clean
	done
}

# backlog_fills SERVER
backlog_fills() {
	# With SYN cookies the kernel resets connections whose handshake it has forgotten.
	local acks=() crowd narrow='ip link set lo up
		echo 2 >/proc/sys/net/core/somaxconn
		echo 0 >/proc/sys/net/ipv4/tcp_syncookies'

	[[ $1 != day04/* ]] || acks=(--acks)
	start_server "${IN_NETWORK[@]}" "$narrow" "./$1" 0
	pause_server
	# Three fit in. The others try again a second later.
	inside "$PEER" stream --connections 6 --bytes 10000 "${acks[@]}" "$PORT" 3>&- &
	crowd=$!
	SERVERS+=("$crowd")
	wait_until backlog_is_full
	kill -CONT "$PID"
	wait "$crowd"
	stop_clean
}

@test "a listen backlog that is full: who waits outside is served once there is room" {
	need_network
	side_by_side 3 backlog_fills day04/event-loop day05/echo day06/deadlines
}

takes_nothing_for_long() {
	local fd

	# Two minutes take two seconds.
	start_server in_a_hurry ./day05/echo 0
	exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
	timeout 20 head -c 8000000 /dev/zero >&"$fd" 3>&- &
	SERVERS+=("$!")
	sleep 4
	[ "$(timeout 10 head -c 8000000 <&"$fd" | wc -c)" -eq 8000000 ]
	exec {fd}>&-
	stop_clean
}

random_peers() {
	SEED=7 run tests/soak 2
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "seed: 7, for 2 seconds" ]
	[ "$(grep -c '^ok: day0' <<<"$output")" -eq 4 ]
}

@test "random peers for two seconds against four servers at once (a failure names the seed); a client that takes nothing for longer than two minutes, and then reads, gets every byte" {
	at_once random_peers takes_nothing_for_long
}

@test "random peers: a server that is wrong is noticed, and the seed that shows it is said" {
	for fault in corrupt lose crash; do
		SEED=7 run tests/soak 2 "build/tests/broken-echo $fault"
		[ "$status" -eq 1 ]
		[[ "$output" == *"FAILED: build/tests/broken-echo $fault: "* ]]
		[[ "$output" == *"to repeat it: "*" --seed 7 "* ]]
	done
}

@test "a peer that ends while another is idle gets its end-of-file, and its socket is gone" {
	for server in day04/event-loop day05/echo day06/deadlines; do
		local acks=()
		[[ $server != day04/* ]] || acks=(--acks)
		start_server "./$server" 0
		start_peers ping --count 1 --hold "${acks[@]}"
		# Until Linux 6.12 a request in flight on a direct descriptor keeps every one that is closed
		# after it from being released.
		peer stream --connections 10 --bytes 10000 --deadline 5 "${acks[@]}"
		wait_until no_socket_is_half_closed
		release_peers
		stop_clean
	done
}

no_socket_is_half_closed() {
	[ -z "$(ss -Htn state close-wait "sport = :$PORT")" ]
}

@test "a kernel that releases closed sockets late: peers are told first, and all else is the same" {
	for server in day04/event-loop day05/echo day06/deadlines; do
		local acks=()
		[[ $server != day04/* ]] || acks=(--acks)
		start_server with_fault features:0:1 "./$server" 0
		has_happened
		peer stream --connections 20 --total 500 --bytes 10000 "${acks[@]}"
		peer reset --connections 20 --total 40 --bytes 30000 "${acks[@]}"
		start_peers ping --connections 100 --count 1 --hold "${acks[@]}"
		stop_clean
	done
}

@test "a kernel that releases closed sockets late: a signal while peers are being told ends it in order" {
	for server in day04/event-loop day05/echo day06/deadlines; do
		local acks=()
		[[ $server != day04/* ]] || acks=(--acks)
		start_server with_fault features:0:1 "./$server" 0
		start_peers ping --connections 200 --count 1 --hold "${acks[@]}"
		pause_server
		kill -KILL "$PEERS"
		wait "$PEERS" || true
		# It finds 200 ends, more than it reaps at a time, and then the signal.
		kill -TERM "$PID"
		kill -CONT "$PID"
		wait_for_end
		[ "$status" -eq 0 ]
		[ ! -s "$LOG.err" ]
	done
}
