#!/usr/bin/env bats
# Faults in the middle: io_uring_enter(2) fails for a moment, signals come in a storm, the server is
# stopped and continued, a debugger attaches. No byte is lost, nothing hangs, and it still ends in order.

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
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 start_server strace -D -qq -f -o "$BATS_TEST_TMPDIR/strace" -e trace=io_uring_enter \
		-e inject="io_uring_enter:$fault" "$@" 0
}

# The trace says that the fault was there.
was_injected() {
	grep -q INJECTED "$BATS_TEST_TMPDIR/strace"
}

echo_survives() {
	faulty "$@"
	peer stream --connections 4 --bytes "$(scaled 1000000)"
	peer ping --connections 20 --count 5 --chunk 1000
	peer reset --connections 20 --total 40 --bytes 30000
	stop_clean
	was_injected
}

event_loop_survives() {
	faulty "$@"
	peer stream --acks --connections 4 --bytes "$(scaled 1000000)"
	peer ping --acks --connections 20 --count 5 --chunk 1000
	peer reset --acks --connections 20 --total 40 --bytes 30000
	stop_clean
	was_injected
}

@test "faults: day 4: io_uring_enter fails for a moment, again and again" {
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		event_loop_survives "error=$error:when=1+3" ./day04/event-loop
	done
}

@test "faults: day 4: io_uring_enter fails fifty times in a row" {
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		event_loop_survives "error=$error:when=1..50" ./day04/event-loop
	done
}

@test "faults: day 5: io_uring_enter fails for a moment, again and again" {
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		echo_survives "error=$error:when=1+3" ./day05/echo
		echo_survives "error=$error:when=1+3" ./day05/echo --buffers 4
	done
}

@test "faults: day 5: io_uring_enter fails fifty times in a row" {
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		echo_survives "error=$error:when=1..50" ./day05/echo
	done
}

@test "faults: day 5: io_uring_enter fails for a moment in the middle of the load" {
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		echo_survives "error=$error:when=60..110" ./day05/echo --buffers 4
	done
}

# storm SIGNAL [OTHER]: sends the server signals while a crowd is at work.
storm() {
	launch_peers ping "${@:2}" --connections 20 --count "$(scaled 2000)" --chunk 500
	while kill -0 "$PEERS" 2>/dev/null; do
		kill -s "$1" "$PID"
		[ "$1" != STOP ] || kill -s CONT "$PID"
		sleep 0.005
	done
	finish_peers
}

@test "faults: a storm of signals" {
	start_server ./day04/event-loop 0
	storm USR1 --acks
	stop_clean
	start_server ./day05/echo 0
	storm WINCH
	stop_clean
}

@test "faults: stopped and continued" {
	start_server ./day04/event-loop 0
	storm STOP --acks
	stop_clean
	start_server ./day05/echo 0
	storm STOP
	stop_clean
}

# A tracer interrupts the wait of the process that it attaches to, and when it leaves.
@test "faults: a debugger attaches and leaves" {
	local i

	start_server ./day05/echo 0
	launch_peers ping --connections 20 --count "$(scaled 3000)" --chunk 500
	for i in 1 2 3 4 5; do
		timeout 0.1 strace -qq -o /dev/null -p "$PID" || true
	done
	finish_peers
	stop_clean
}
