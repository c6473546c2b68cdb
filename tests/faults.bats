#!/usr/bin/env bats
# Faults in the middle: io_uring_enter(2) fails for a moment, a request fails, a peer or a signal comes at a bad
# moment. No byte is lost, nothing hangs, and it still ends in order. (Storms of signals and debuggers: hostile.bats.)

load helpers
load peers

setup() {
	need strace strace
	strace -D -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"
}

teardown() {
	end_servers
}

# faulty FAULT COMMAND [ARG]...: starts a server whose calls of io_uring_enter(2) fail as FAULT says; -D
# makes it, not strace, the process that is started and ended here.
faulty() {
	local fault=$1

	shift
	# The search for leaks needs ptrace(2) for itself.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 start_server strace -D -qq -f -o "$BATS_TEST_TMPDIR/strace.$BASHPID" -e trace=io_uring_enter \
		-e inject="io_uring_enter:$fault" "$@" 0
}

# The trace says that the fault was there.
was_injected() {
	grep -q INJECTED "$BATS_TEST_TMPDIR/strace.$BASHPID"
}

# is_reached: the more completions a turn finds, the fewer calls there have been; so there may have to be more.
is_reached() {
	was_injected || { peer ping "$@" --connections 1 --count 5 --chunk 1000 && was_injected; }
}

echo_survives() {
	faulty "$@"
	peer stream --connections 4 --bytes "$(scaled 1000000)"
	peer ping --connections 20 --count 5 --chunk 1000
	peer reset --connections 20 --total 40 --bytes 30000
	wait_until is_reached
	stop_clean
}

event_loop_survives() {
	faulty "$@"
	peer stream --acks --connections 4 --bytes "$(scaled 300000)"
	peer ping --acks --connections 20 --count 5 --chunk 1000
	peer reset --acks --connections 20 --total 40 --bytes 30000
	wait_until is_reached --acks
	stop_clean
}

# with_each_error FUNCTION WHEN COMMAND [ARG]...: what it does, with each of the errors that pass; FUNCTION gets the fault
# and the command.
with_each_error() {
	at_once "$1 error="{EINTR,EAGAIN,EBUSY,ENOMEM}":when=${*:2}"
}

@test "faults: day 4: io_uring_enter fails for a moment, again and again" {
	with_each_error event_loop_survives 1+3 ./day04/event-loop
}

@test "faults: day 4: io_uring_enter fails fifteen times in a row" {
	with_each_error event_loop_survives 1..15 ./day04/event-loop
}

@test "faults: day 5: io_uring_enter fails for a moment, again and again" {
	with_each_error echo_survives 1+3 ./day05/echo
	with_each_error echo_survives 1+3 ./day05/echo --buffers 4
}

@test "faults: day 5: io_uring_enter fails fifteen times in a row" {
	with_each_error echo_survives 1..15 ./day05/echo
}

@test "faults: day 5: io_uring_enter fails for a moment in the middle of the load" {
	with_each_error echo_survives 60..69 ./day05/echo --buffers 4
}

@test "faults: io_uring_enter fails for good with EAGAIN: the server pauses, and a signal ends it" {
	local server servers=() peers=() peer lines i

	need_strace
	for server in day04/event-loop day05/echo; do
		start_server strace -D -qqq -o "$BATS_TEST_TMPDIR/strace.${#servers[@]}" -e trace=io_uring_enter \
			-e inject=io_uring_enter:error=EAGAIN:when=2+ "./$server" 0
		exec {peer}<>"/dev/tcp/127.0.0.1/$PORT"
		wait_until grep -q INJECTED "$BATS_TEST_TMPDIR/strace.${#servers[@]}"
		servers+=("$PID")
		peers+=("$peer")
	done
	sleep 1 # the time that is measured
	for i in "${!servers[@]}"; do
		lines=$(lines "$BATS_TEST_TMPDIR/strace.$i" INJECTED)
		echo "tries within a second or more: $lines"
		((lines <= 100))
		kill -TERM "${servers[i]}"
		PID=${servers[i]}
		wait_for_end
		[ "$status" -eq 143 ]
		peer=${peers[i]}
		exec {peer}>&-
	done
}

# What tests/inject.c does; each fault happens once.

need_injection() {
	./day01/probe | grep -Eq '^ *MIN_TIMEOUT +yes$' || skip "needs Linux 6.12 (6.10 at least), whose NOP fails as it is told"
}

# ends_saying MESSAGE: the server started last ends with status 1 and this one line.
ends_saying() {
	wait_for_end
	[ "$status" -eq 1 ]
	[[ "$(<"$LOG.err")" == ./day0[1-9]/*": $1" ]]
	has_happened
}

# serves SERVER [OPTION]...: what the server started last is for happens.
serves() {
	case $1 in
	day03/*) build/tests/connect --count 3 "$PORT" ;;
	day04/*) peer ping --acks --connections 3 --count 3 --chunk 100 "${@:2}" ;;
	day0[56]/*) peer ping --connections 3 --count 3 --chunk 100 "${@:2}" ;;
	esac
}

# paused COMMAND...: stops the server started last, does each of the commands, and lets it go on: it finds
# all that has happened at once, in this order.
paused() {
	local command

	pause_server
	for command; do
		eval "$command"
	done
	kill -CONT "$PID"
}

# connect_to_server NAME: opens a connection and leaves its descriptor in the variable.
connect_to_server() {
	eval "exec {$1}<>/dev/tcp/127.0.0.1/$PORT"
}

# says DESCRIPTOR [LINE]: the line comes, or, without one, the end or a reset.
says() {
	local line status=0

	IFS= read -r -t 20 line <&"$1" 2>/dev/null || status=$?
	if [ $# -gt 1 ]; then
		((status == 0)) && [ "$line" = "$2" ]
	else
		((status == 1)) && [ -z "$line" ]
	fi
}

@test "faults: a request or a call that fails for good: the program ends and says why" {
	need_injection
	local fault program reason

	while IFS='|' read -r fault program reason; do
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr with_fault "$fault" timeout 20 ./$program
		[ "$status" -eq 1 ]
		[ "$stderr" = "./${program%% *}: $reason" ]
		has_happened
	done <<-END
		submit:EBADF:1|day01/setup|io_uring_submit: Bad file descriptor
		get_cqe:EBADF:1|day01/setup|io_uring_wait_cqe: Bad file descriptor
		get_cqe:EBADF:2|day01/setup|io_uring_peek_cqe: Bad file descriptor
		submit:EBADF:1|day01/sqpoll|io_uring_submit: Bad file descriptor
		get_cqe:EBADF:1|day01/sqpoll|io_uring_peek_cqe: Bad file descriptor
		CLOSE:EBADF:1|day02/registered-files LICENSE|LICENSE: close: Bad file descriptor
		get_cqe:EBADF:1|day03/poll-accept 0|io_uring_wait_cqe: Bad file descriptor
		POLL_ADD:EBADF:1|day03/poll-accept 0|poll: Bad file descriptor
		READ:EBADF:1|day04/event-loop 0|reading a signal: Bad file descriptor
		submit_and_wait:EBADR:1|day04/event-loop 0|io_uring_submit_and_wait: completions were lost (the kernel had no memory for them)
		submit_and_wait:EBADR:1|day05/echo 0|io_uring_submit_and_wait: completions were lost (the kernel had no memory for them)
		READ:EBADF:1|day06/deadlines 0|reading a signal: Bad file descriptor
	END
}

@test "faults: a server at work whose close, receive, submit or completion fails for good ends and says why" {
	need_injection
	local server

	for server in day03/accept day04/event-loop day05/echo day06/deadlines; do
		start_server with_fault CLOSE:EBADF:1 "./$server" 0
		"$PEER" flash "$PORT"
		ends_saying 'close of slot 0: Bad file descriptor'
	done
	for server in day04/event-loop day06/deadlines; do
		local acks=()
		[ "$server" = day06/deadlines ] || acks=(--acks)
		start_server with_fault completions:lost:1 "./$server" 0
		kill -TERM "$PID"
		ends_saying 'io_uring_submit_and_wait: completions were lost (the kernel had no memory for them)'
	done
	# When all receives are cancelled at once the submission queue is full.
	start_server with_fault submit:EBADF:1 ./day06/deadlines 0
	for _ in 1 2 3 4; do
		start_peers ping --hold --connections 200 --count 1 --chunk 10
	done
	kill -TERM "$PID"
	ends_saying 'io_uring_submit: Bad file descriptor'
}

@test "faults: submitting fails for good with EAGAIN while all receives are cancelled: the server pauses, and a signal ends it" {
	need_injection
	local ticks

	start_server with_fault submit:EAGAIN:0 ./day06/deadlines 0
	# So few at a time that their requests always find room in the submission queue. All together don't.
	for _ in 1 2 3 4; do
		start_peers ping --hold --connections 200 --count 1 --chunk 10
	done
	ticks=$(cpu_ticks)
	kill -TERM "$PID"
	wait_until has_happened
	sleep 1.5 # the time that is measured: the longest pauses have come
	ticks=$(($(cpu_ticks) - ticks))
	echo "$ticks ticks of 10 ms"
	((ticks <= 50))
	kill -TERM "$PID"
	wait_for_end
	[ "$status" = 143 ]
}

@test "faults: what is interrupted is done again" {
	need_injection
	local fault

	for fault in READ WRITE; do
		run --separate-stderr with_fault "$fault:EINTR:1" ./day02/registered-files LICENSE
		[ "$output" = "$(<LICENSE)" ]
		has_happened
	done
	run with_fault get_cqe:EINTR:1 ./day01/setup
	[ "$status" -eq 0 ]
	[ "$(grep -c '_cqe: user_data .* has completed$' <<<"$output")" -eq 4 ]
	has_happened
	start_server with_fault submit:EINTR:2 ./day03/poll-accept 0
	serves day03/poll-accept
	stop_clean
	has_happened
	# With so many peers the submission queue is full at some time.
	start_server with_fault submit:EINTR:1 ./day04/event-loop 0
	peer ping --acks --connections 600 --count 2 --chunk 10
	stop_clean
	start_server with_fault submit:EINTR:1 ./day06/deadlines 0
	start_peers ping --server-ends --connections 600 --count 2 --chunk 10 --hold
	stop_clean
	has_happened
	for fault in READ:EINTR:1 READ:EAGAIN:1 RECV:EINTR:2 RECV:ENOMEM:2 SEND:EINTR:2 SEND:ENOMEM:2; do
		start_server with_fault "$fault" ./day04/event-loop 0
		serves day04/event-loop
		stop_clean
		has_happened
	done
	for fault in READ:ENOMEM:1 RECV:EINTR:2 RECV:EAGAIN:2 RECV:ENOMEM:2 SEND:EINTR:2 SEND:EAGAIN:2 TIMEOUT:ENOMEM:1; do
		start_server with_fault "$fault" ./day06/deadlines 0
		serves day06/deadlines
		stop_clean
		has_happened
	done
}

@test "faults: accepting fails for a moment: the server says so, and goes on after a pause" {
	need_injection
	local server error

	for server in day03/accept day04/event-loop day05/echo day06/deadlines; do
		for error in ENFILE ENOMEM; do
			start_server with_fault "ACCEPT:$error:1" "./$server" 0
			serves "$server"
			stop_within TERM "$(within 2500)"
			has_happened
			grep -Eq 'accept: .*(Too many open files in system|Cannot allocate memory)' "$LOG" "$LOG.err"
		done
	done
}

@test "faults: a peer leaves, or the server is ended, while accepting pauses after an error" {
	need_injection
	local server first second

	for server in "day04/event-loop --slots" "day05/echo --connections"; do
		# shellcheck disable=SC2086 # a program and its option
		start_server with_fault ACCEPT:EMFILE:2 ./$server 2 0
		connect_to_server first
		connect_to_server second
		wait_until no_peer_waits
		exec {first}>&-
		wait_until grep -q 'accept: Too many open files' "$LOG.err"
		exec {second}>&-
		serves "${server% *}"
		stop_within TERM "$(within 2500)"
		has_happened
	done
	start_server with_fault ACCEPT:EMFILE:1 ./day03/accept 0
	stop_clean
	has_happened
}

# Whoever has connected has been accepted.
no_peer_waits() {
	ss -Htln "sport = :$PORT" | awk '{ waiting = $2 } END { exit waiting > 0 }'
}

@test "faults: every accept fails: a line ten times a second, not as fast as it can; SIGTERM ends it" {
	need_injection
	local server servers=() logs=() client i lines

	for server in day04/event-loop day06/deadlines; do
		start_server with_fault ACCEPT:EMFILE:0 "./$server" 0
		connect_to_server client
		servers+=("$PID")
		logs+=("$LOG.err")
	done
	sleep 1 # the time that is measured
	for i in "${!servers[@]}"; do
		lines=$(lines "${logs[i]}" 'accept: Too many open files')
		echo "lines within a second or more: $lines"
		((lines >= 1 && lines <= 100)) # eight accepts each time
		PID=${servers[i]}
		stop_within TERM "$(within 2500)"
	done
}

# The pause is a request, too, and its failure is one of no accept.
@test "faults: an accept fails, and so does the pause after it: it accepts on" {
	need_injection
	local server pause

	for server in day04/event-loop day06/deadlines; do
		pause=1
		[ "$server" = day04/event-loop ] || pause=2
		# Day 6's first timeout is that of the deadlines; its second one and day 4's first are the pause.
		start_server with_two_faults ACCEPT:ENOMEM:1 "TIMEOUT:ENOMEM:$pause" "./$server" 0
		serves "$server"
		serves "$server"
		stop_within TERM "$(within 2500)"
	done
}

@test "faults: day 6: the shutdown fails, as it does when no worker thread can be started: the close tells the client at once" {
	need_injection
	local client begin took

	start_server with_fault SHUTDOWN:ECANCELED:0 ./day06/deadlines --idle 60000 0
	start_peers ping --server-ends --connections 20 --count 1 --hold
	begin=$(now_ms)
	stop_clean
	took=$(($(now_ms) - begin))
	echo "took $took ms"
	((took < 1400)) # less than the time that clients get to close
	finish_peers
	has_happened
}

@test "faults: a cancel fails for a moment: it is asked again" {
	need_injection

	start_server with_fault CANCEL:EAGAIN:1 ./day06/deadlines --buffers 64 --buffer-size 512 0
	peer stream --late --small --bytes 3000000
	has_happened
	stop_clean
	start_server with_fault CANCEL:EAGAIN:1 ./day06/deadlines 0
	start_peers ping --server-ends --connections 1 --count 1 --hold
	stop_clean
	has_happened
	finish_peers
}

@test "faults: a multishot request that ends after one completion, with success, is armed again" {
	need_injection
	local server

	for server in day03/accept day04/event-loop day06/deadlines; do
		start_server with_fault ACCEPT:single:1 "./$server" 0
		serves "$server"
		stop_clean
		has_happened
	done
	# The kernel thread takes a buffer before it finds the end, which needs none.
	start_server with_fault RECV:single:1 ./day05/echo --buffers 1 0
	"$PEER" stream --bytes 0 "$PORT"
	serves day05/echo
	stop_clean
	has_happened
}

@test "faults: day 2 is stopped and continued while it waits, and waiting fails" {
	need_injection
	local fault pid writer

	mkfifo "$BATS_TEST_TMPDIR/pipe"
	for fault in EINTR EBADF; do
		with_fault "submit_and_wait:$fault:3" ./day02/registered-files --show "$BATS_TEST_TMPDIR/pipe" \
			>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
		pid=$!
		SERVERS+=("$pid")
		exec {writer}>"$BATS_TEST_TMPDIR/pipe"
		# The first call is the open's, the second, which is interrupted, submits the read: it has done
		# so, and is successful. The third waits for what was submitted.
		wait_until grep -q 'slot 42: /' "$BATS_TEST_TMPDIR/err"
		wait_until is_in_state S "$pid"
		kill -STOP "$pid"
		wait_until is_in_state T "$pid"
		kill -CONT "$pid"
		wait_until has_happened
		[ $fault = EBADF ] || echo text >&"$writer"
		exec {writer}>&-
		status=0
		wait "$pid" || status=$?
		if [ $fault = EINTR ]; then
			[ "$status" -eq 0 ]
			[ "$(<"$BATS_TEST_TMPDIR/out")" = text ]
		else
			[ "$status" -eq 1 ]
			grep -q ': io_uring_submit_and_wait: Bad file descriptor$' "$BATS_TEST_TMPDIR/err"
		fi
	done
}

@test "faults: day 5: sends that fail, and a peer that is lost while one is in flight" {
	need_injection
	local fault

	start_server with_fault SEND:EPIPE:1 ./day05/echo 0
	peer ping --cut-short --connections 1
	has_happened
	serves day05/echo
	stop_clean

	# It receives again when some of what it has received is sent: then the next send is in flight.
	start_server with_fault RECV:ECONNRESET:2 ./day05/echo --buffers 64 --buffer-size 512 0
	peer stream --cut-short --late --small --bytes 10000000
	has_happened
	serves day05/echo
	stop_clean

	# What a peer still sends at the end is received and discarded, which an interruption does not end.
	start_server with_fault RECV:EINTR:2 ./day06/deadlines 0
	start_peers ping --server-ends --connections 1 --count 1 --hold
	stop_clean
	has_happened
	finish_peers
}

# What happens in the moment of the signal.

ends_in_order() {
	wait_for_end
	[ "$status" -eq 0 ]
	[ ! -s "$LOG.err" ]
}

@test "faults: day 6: a peer connects, and another one sends, after the signal" {
	local seated late

	start_server ./day06/deadlines 0
	connect_to_server seated
	echo one >&"$seated"
	says "$seated" one
	paused 'kill -TERM "$PID"' 'echo more >&"$seated"' 'connect_to_server late'
	says "$seated" more
	exec {seated}>&-
	says "$late"
	ends_in_order
}

@test "faults: day 6: a signal while the table is full, and nobody is accepted" {
	start_server ./day06/deadlines --connections 1 0
	start_peers ping --server-ends --connections 1 --count 1 --hold
	stop_clean
	finish_peers
}

@test "faults: day 6: sends complete between the signal and the receives that it ends" {
	local one seated=() i

	start_server ./day06/deadlines 0
	# More than it reaps at a time.
	for ((i = 0; i < 60; i++)); do
		connect_to_server one
		echo one >&"$one"
		says "$one" one
		seated+=("$one")
	done
	paused 'kill -TERM "$PID"' 'for one in "${seated[@]}"; do echo more >&"$one"; done'
	says "${seated[0]}" more
	for one in "${seated[@]}"; do
		exec {one}>&-
	done
	ends_in_order
}
