#!/usr/bin/env bats
# Day 1: batch measures what a ring saves, setup shows the life of requests in a ring, sqpoll a ring without
# system calls; and the tool probe, what this machine can do.

load helpers

setup() {
	TRACE=$BATS_TEST_TMPDIR/trace
}

# How many calls of io_uring_enter(2) there are in $TRACE.
entered() {
	lines "$TRACE" '^io_uring_enter\('
}

# traced COMMAND [ARG]...: runs it and leaves its calls of io_uring_enter(2) in $TRACE.
traced() {
	ASAN_OPTIONS=detect_leaks=0 timeout 30 strace -qq -o "$TRACE" -e trace=io_uring_enter \
		-e signal=none "$@"
}

# Counts the io_uring_enter(2) calls that the output of setup claims.
claimed_calls() {
	grep -Ec '^system call \| io_uring_(submit|wait_cqe)' <<<"$1"
}

@test "batch: a system call for each request, and then one for 32" {
	need_strace
	local requests calls
	# 100 is no multiple of 32: 32, 32, 32 and 4.
	while read -r requests calls; do
		traced ./day01/batch --requests "$requests" >"$BATS_TEST_TMPDIR/out"
		(($(entered) == calls))
		(($(awk '{ taken += $NF } END { print taken }' "$TRACE") == 2 * requests))
		[ "$(sed -E 's/ +[0-9]+ ns/ N ns/' "$BATS_TEST_TMPDIR/out")" = " 1 in each system call: N ns a request
32 in each system call: N ns a request" ]
	done <<-END
		32 33
		100 104
		320 330
	END
}

@test "batch: a request takes less time when 32 share a system call" {
	shared_is_quicker() {
		local times
		mapfile -t times < <(./day01/batch --requests 100000 | sed -nE 's/.*: +([0-9]+) ns.*/\1/p')
		((${#times[@]} == 2 && times[1] > 0 && times[1] < times[0]))
	}
	wait_until shared_is_quicker
}

@test "batch: a call that fails, or takes fewer requests than it was given, ends the program" {
	need_strace
	run --separate-stderr with_fault submit:EBADF:2 ./day01/batch
	[ "$status" -eq 1 ]
	[ "$stderr" = "./day01/batch: io_uring_submit: Bad file descriptor" ]
	run --separate-stderr injected io_uring_enter retval=0:when=1 ./day01/batch
	[ "$status" -eq 1 ]
	[ "$stderr" = "./day01/batch: io_uring_submit: 0 instead of 1" ]
	run --separate-stderr injected io_uring_setup error=ENOSYS ./day01/batch
	[ "$status" -eq 1 ]
	[[ "$stderr" == "./day01/batch: io_uring_queue_init: Function not implemented (this kernel, "* ]]
}

@test "batch: its options" {
	run --separate-stderr ./day01/batch --help
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == "Usage: ./day01/batch [--requests N]" ]]
	run --separate-stderr ./day01/batch --requests 31
	[ "$status" -eq 2 ]
	[ "${stderr_lines[0]}" = "./day01/batch: --requests: '31' is not a number from 32 to 100000000" ]
	run --separate-stderr ./day01/batch extra
	[ "$status" -eq 2 ]
}

@test "setup: the ring and its two queues, with their sizes and addresses" {
	run --separate-stderr ./day01/setup
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ "${lines[0]}" =~ ^"system call | io_uring_queue_init_params: a ring for 8 entries, descriptor "[0-9]+$ ]]
	[[ "${lines[1]}" =~ ^" "+"|   submission queue: 8 x 64 bytes, the SQEs, at 0x"[0-9a-f]+$ ]]
	[[ "${lines[2]}" =~ ^" "+"|   completion queue: 16 x 16 bytes, the CQEs, at 0x"[0-9a-f]+$ ]]
}

@test "setup: before the submit the SQEs wait in the queue and nothing has completed" {
	run ./day01/setup
	[ "$status" -eq 0 ]
	[[ "$output" == *"memory      | prepared user_data 0: a timeout of 60 ms
memory      | prepared user_data 1: a timeout of 20 ms
memory      | prepared user_data 2: a NOP
memory      | prepared user_data 3: a timeout of 40 ms
            |   submission queue: head 0, tail 4; completion queue: head 0, tail 0
system call | io_uring_submit: SQEs handed over at once: 4
"* ]]
}

@test "setup: the submit moves the submission queue's head, reaping the completion queue's" {
	run ./day01/setup
	[ "$status" -eq 0 ]
	# The NOP has completed by then; on a busy machine a timeout may have, too.
	[[ "$output" =~ "SQEs handed over at once: 4
            |   submission queue: head 4, tail 4; completion queue: head 0, tail "[1-4]$'\n' ]]
	[ "${lines[-2]}" = "            |   submission queue: head 4, tail 4; completion queue: head 4, tail 4" ]
}

@test "setup: the requests complete in another order than they were submitted" {
	run ./day01/setup
	[ "$status" -eq 0 ]
	local order
	order=$(sed -nE 's/.* \| (io_uring_(wait|peek)_cqe): user_data ([0-9]), result (-?[A-Z0-9]+): (.*) has completed$/\1 \3 \4 \5/p' <<<"$output")
	[ "$order" = "io_uring_wait_cqe 2 0 a NOP
io_uring_wait_cqe 1 -ETIME a timeout of 20 ms
io_uring_peek_cqe 3 -ETIME a timeout of 40 ms
io_uring_peek_cqe 0 -ETIME a timeout of 60 ms" ]
}

@test "setup: the steps that it calls system calls are system calls, the others are not" {
	need_strace
	run traced ./day01/setup
	[ "$status" -eq 0 ]
	# The submit, and the wait unless a busy machine let 20 ms pass before it: then setup says so.
	(($(entered) == $(claimed_calls "$output")))
	(($(claimed_calls "$output") <= 2))
}

@test "setup: two calls of io_uring_enter are enough for four requests" {
	need_strace
	enters_twice() {
		traced ./day01/setup >/dev/null && (($(entered) == 2))
	}
	# One is enough on a machine so busy that the first timeout has passed before the wait.
	wait_until enters_twice
}

@test "setup --entries: the kernel rounds up to a power of two" {
	local asked granted
	for asked in 1:1 2:2 3:4 4:4 5:8 100:128 4096:4096 4097:8192 32768:32768; do
		granted=${asked#*:}
		run ./day01/setup --entries "${asked%:*}"
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == *" a ring for ${asked%:*} entries, "* ]]
		[[ "${lines[1]}" == *"submission queue: $granted x 64 bytes"* ]]
		[[ "${lines[2]}" == *"completion queue: $((2 * granted)) x 16 bytes"* ]]
	done
}

@test "setup --entries: 0 and 32769 are refused with the bounds" {
	for entries in 0 32769; do
		run --separate-stderr ./day01/setup --entries "$entries"
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[ "${stderr_lines[0]}" = "./day01/setup: --entries: '$entries' is not a number from 1 to 32768" ]
	done
}

@test "setup --entries 2: a submission queue that is full gives no SQE" {
	run ./day01/setup --entries 2
	[ "$status" -eq 0 ]
	[[ "$output" == *"io_uring_get_sqe: NULL, the submission queue is full
            |   submission queue: head 0, tail 2; completion queue: head 0, tail 0
"* ]]
	[[ "$output" == *"io_uring_submit: SQEs handed over at once: 2"* ]]
	[ "$(grep -c '_cqe: user_data .* has completed$' <<<"$output")" -eq 2 ]
}

@test "sqpoll: an awake kernel thread takes a request without a system call" {
	need_strace
	# A second is time enough for the next submit, also on a busy machine.
	run traced ./day01/sqpoll --idle 1000
	[ "$status" -eq 0 ]
	[[ "$output" == *"memory      | io_uring_submit: a NOP, user_data 2; the kernel thread is awake and finds it by itself"* ]]
	[ "$(grep -c '^memory      | io_uring_peek_cqe: user_data [123] has completed$' <<<"$output")" -eq 3 ]
	# Three requests were submitted: the first and the last find the thread asleep.
	(($(entered) == 2))
}

@test "sqpoll: the kernel thread falls asleep after the time asked for, and has to be woken" {
	run ./day01/sqpoll
	[ "$status" -eq 0 ]
	local slept
	slept=$(sed -nE 's/^memory      \| IORING_SQ_NEED_WAKEUP: after ([0-9]+) ms without work \(asked: 50\) the thread sleeps$/\1/p' <<<"$output")
	[ -n "$slept" ]
	[[ "$output" == *"system call | io_uring_submit: a NOP, user_data 3; the kernel thread slept and had to be woken
memory      | io_uring_peek_cqe: user_data 3 has completed
system call | io_uring_queue_exit: the ring is gone, and its thread" ]]
}

@test "probe: kernel, liburing, features, flags, operations, limits and verdict, in this order" {
	run --separate-stderr ./day01/probe
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "${lines[0]}" = "kernel:   $(uname -sr)" ]
	[ "${lines[1]}" = "liburing: $(pkg-config --modversion liburing)" ]
	[ "$(grep -E '^[a-z-]+( flags)?:$' <<<"$output" | tr '\n' ' ')" = "features: set-up flags: operations: limits: " ]
	for name in SINGLE_MMAP NODROP EXT_ARG CQE_SKIP LINKED_FILE CQSIZE CLAMP COOP_TASKRUN \
		NOP TIMEOUT ACCEPT ASYNC_CANCEL OPENAT CLOSE READ WRITE RECV SEND POLL_ADD; do
		[ "$(grep -Ec "^  $name +yes( +[0-9]+)?\$" <<<"$output")" -eq 1 ]
	done
	[ "$(grep -c '^day [1-9]: can run here$' <<<"$output")" -eq 9 ]
}

@test "probe: every operation is there once, with yes or no" {
	run ./day01/probe
	local operations
	operations=$(sed -n '/^operations:/,/^$/p' <<<"$output" | grep '^  ')
	(($(wc -l <<<"$operations") >= 50))
	[ -z "$(grep -Ev '^  ([A-Z0-9_]+|\?) +(yes|no ) +[0-9]+$' <<<"$operations" || true)" ]
	[ -z "$(awk '$1 != "?" { print $1 }' <<<"$operations" | sort | uniq -d)" ]
	# In the order of their numbers, which are the kernel's.
	[ "$(awk '{ print $3 }' <<<"$operations")" = "$(seq 0 $(($(wc -l <<<"$operations") - 1)))" ]
	grep -Eq '^  SEND +yes +26$' <<<"$operations"
	grep -Eq '^  RECV +yes +27$' <<<"$operations"
}

@test "probe: feature bits without a name are shown in hexadecimal, or there are none" {
	need_strace
	local bits named shown
	ASAN_OPTIONS=detect_leaks=0 strace -qq -o "$TRACE" -e trace=io_uring_setup -X raw \
		./day01/probe >"$BATS_TEST_TMPDIR/out"
	bits=$(sed -nE '1s/.*features=(0x[0-9a-f]+).*/\1/p' "$TRACE")
	[ -n "$bits" ]
	shown=$(sed -nE 's/^  unknown to this program: //p' "$BATS_TEST_TMPDIR/out")
	named=0
	for yes in $(sed -n '/^features:/,/^$/p' "$BATS_TEST_TMPDIR/out" | sed -nE 's/^  [A-Z_0-9]+ +(yes|no)$/\1/p' | tac); do
		named=$((2 * named + (${#yes} == 3)))
	done
	(((named | ${shown:-0}) == bits))
}

@test "probe: the limits are this process's" {
	ulimit -Sn 400
	run ./day01/probe
	[ "$status" -eq 0 ]
	[[ "$output" == *"  open files (ulimit -n): 400 descriptors"* ]]
	local locked setting="not a setting of this kernel (Linux 6.6 has it)"
	locked=$(ulimit -Sl)
	[ "$locked" = unlimited ] || locked="$locked KiB"
	[[ "$output" == *"  locked memory (ulimit -l): $locked"* ]]
	[ ! -e /proc/sys/kernel/io_uring_disabled ] || setting=$(</proc/sys/kernel/io_uring_disabled)
	[[ "$output" == *"  kernel.io_uring_disabled: $setting"* ]]
}

@test "probe --days: only the verdict" {
	run --separate-stderr ./day01/probe --days
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[ "$output" = "$(printf 'day %d: can run here\n' 1 2 3 4 5 6 7 8 9)" ]
}

@test "probe: without io_uring no day can run, and the reason is said" {
	need_strace
	for options in "" --days; do
		# shellcheck disable=SC2086 # no option, or one
		run --separate-stderr injected io_uring_setup error=ENOSYS ./day01/probe $options
		[ "$status" -eq 1 ]
		[ "$(grep -c '^day [1-9]: cannot run: no ring: Function not implemented$' <<<"$output")" -eq 9 ]
		[[ "$stderr" == "./day01/probe: opening a ring: Function not implemented (this kernel,"* ]]
	done
}

@test "probe: a kernel that lacks a feature can run the days before it" {
	need_strace
	# The first registration in --days is the ring's own descriptor, its second takes it back, the
	# third is the sparse table.
	run --separate-stderr injected io_uring_register error=EINVAL:when=1 ./day01/probe --days
	[ "$status" -eq 1 ]
	[ "${lines[0]}" = "day 1: can run here" ]
	for day in 2 3 4 5; do
		[ "${lines[day - 1]}" = "day $day: cannot run: registering the ring's own descriptor (Linux 5.18): Invalid argument" ]
	done

	run --separate-stderr injected io_uring_register error=EINVAL ./day01/probe --days
	[ "$status" -eq 1 ]
	[ "${lines[1]}" = "day 2: cannot run: registering the ring's own descriptor (Linux 5.18): Invalid argument, a sparse table of direct descriptors (Linux 5.19): Invalid argument" ]
	[[ "${lines[4]}" == "day 5: cannot run: "*", buffer rings (Linux 5.19): Invalid argument" ]]
}

@test "probe: what a kernel lacks is said, and why a set-up flag is refused" {
	need_strace
	# The first ring is the one that is opened; the others try a flag each.
	run injected io_uring_setup error=EINVAL:when=2 ./day01/probe
	[ "$status" -eq 0 ]
	grep -Eq '^  IOPOLL +no$' <<<"$output"
	run injected io_uring_setup error=EPERM:when=3 ./day01/probe
	grep -Eq '^  SQPOLL +Operation not permitted$' <<<"$output"

	# The answer to IORING_REGISTER_PROBE begins with the last operation that the kernel knows.
	run injected io_uring_register error=EINVAL:when=1 ./day01/probe
	[[ "$output" == *"this kernel cannot be asked (Linux 5.6 can)"* ]]
	run injected io_uring_register poke_exit=@arg3=02:when=1 ./day01/probe
	grep -Eq '^  WRITEV +yes +2$' <<<"$output"
	grep -Eq '^  FSYNC +no +3$' <<<"$output"
	# Sixteen bytes in front, and then eight an operation, of which the third tells whether it is there.
	run injected io_uring_register "poke_exit=@arg3=40$(printf '%0*d' $((2 * (15 + 63 * 8 + 2))) 0)01:when=1" ./day01/probe
	grep -Eq '^  \? +yes +63$' <<<"$output"
	grep -Eq '^  \? +no +64$' <<<"$output"

	run injected openat error=ENOENT -P /proc/sys/kernel/io_uring_disabled ./day01/probe
	[[ "$output" == *"kernel.io_uring_disabled: not a setting of this kernel (Linux 6.6 has it)"* ]]
	[ ! -e /proc/sys/kernel/io_uring_disabled ] || {
		run injected read error=EIO -P /proc/sys/kernel/io_uring_disabled ./day01/probe
		[[ "$output" == *"kernel.io_uring_disabled: not a setting"* ]]
	}
}

@test "probe: features that it has no name for are shown" {
	run with_fault features:80000001:1 ./day01/probe
	[ "$status" -eq 0 ]
	grep -Eq '^  SINGLE_MMAP +yes$' <<<"$output"
	grep -Eq '^  NODROP +no$' <<<"$output"
	[[ "$output" == *"  unknown to this program: 0x80000000"* ]]
}

@test "probe: a limit that is none" {
	need_strace
	sanitized && skip "the sanitizers ask for limits themselves"
	# The first question is the C library's, for the size of the stack.
	run injected prlimit64 poke_exit=@arg4=ffffffffffffffff:when=2 ./day01/probe
	[[ "$output" == *"open files (ulimit -n): unlimited"* ]]
}

@test "probe: no memory for a buffer ring" {
	need_strace
	sanitized && skip "the sanitizers map memory themselves"
	# It maps nothing after that.
	strace -qq -o "$TRACE" -e trace=mmap ./day01/probe --days >"$BATS_TEST_TMPDIR/out"
	run injected mmap "error=ENOMEM:when=$(lines "$TRACE" '^mmap')" ./day01/probe --days
	[ "$status" -eq 1 ]
	[ "${lines[4]}" = "day 5: cannot run: buffer rings (Linux 5.19): Cannot allocate memory" ]
}

@test "probe: requests that fail make their days impossible" {
	need_strace
	run --separate-stderr injected io_uring_enter error=EPERM ./day01/probe --days
	[ "$status" -eq 1 ]
	[ "${lines[1]}" = "day 2: can run here" ]
	[ "${lines[2]}" = "day 3: cannot run: multishot accept (Linux 5.19): Operation not permitted" ]
	[[ "${lines[4]}" == "day 5: cannot run: "*"multishot receive (Linux 6.0): Operation not permitted" ]]
}
