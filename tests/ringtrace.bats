# ringtrace: the programs of the days and foreign ones give what they give without it, and
# the trace says what has passed through their rings.

setup() {
	load helpers
	TRACE=$BATS_TEST_TMPDIR/trace
}

teardown() {
	end_servers
}

traced() {
	./ringtrace -o "$TRACE" "$@"
}

# in_order PATTERN...: the trace has lines that match these extended expressions, in this order.
in_order() {
	local from=1 pattern at

	for pattern in "$@"; do
		at=$(tail -n +$from "$TRACE" | grep -Enm 1 -- "$pattern" | cut -d : -f 1)
		if [ -z "$at" ]; then
			echo "after line $((from - 1)) nothing matches: $pattern"
			cat "$TRACE"
			return 1
		fi
		from=$((from + at))
	done
}

# same_output COMMAND [ARG]...: the same on standard output and the same status with and without.
# Addresses, and how often a loop looked in vain, differ from run to run anyway.
same_output() {
	local plain_status=0 traced_status=0

	"$@" >"$BATS_TEST_TMPDIR/plain" 2>"$BATS_TEST_TMPDIR/plain.err" || plain_status=$?
	traced "$@" >"$BATS_TEST_TMPDIR/traced" 2>"$BATS_TEST_TMPDIR/traced.err" || traced_status=$?
	sed -i 's/0x[0-9a-f]*/ADDRESS/; s/[0-9]* times/N times/; s/after [0-9]* ms/after N ms/' \
		"$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/traced"
	# What the shell says of a crash names the place in this file.
	sed -i '/Segmentation fault/d' "$BATS_TEST_TMPDIR/plain.err" "$BATS_TEST_TMPDIR/traced.err"
	diff "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/traced"
	diff "$BATS_TEST_TMPDIR/plain.err" "$BATS_TEST_TMPDIR/traced.err"
	echo "status $plain_status, traced $traced_status"
	((plain_status == traced_status))
}

# say_and_hear TEXT...: one connection to $PORT for each text; prints all that comes back.
say_and_hear() {
	local text

	for text in "$@"; do
		# Day 3 closes what it has not read: to some versions of socat that is a failure.
		printf '%s' "$text" | socat -t 5 - "TCP:127.0.0.1:$PORT" 2>/dev/null || true
	done
}

# same_answers PROGRAM PORT_ARGUMENT... -- TEXT...: a server gives the same to the same clients.
same_answers() {
	local server=() plain_status

	while [ "$1" != -- ]; do
		server+=("$1")
		shift
	done
	shift
	start_server "${server[@]}"
	say_and_hear "$@" >"$BATS_TEST_TMPDIR/plain"
	stop_server TERM
	plain_status=$status
	start_server traced_server "${server[@]}"
	say_and_hear "$@" >"$BATS_TEST_TMPDIR/traced"
	stop_server TERM
	((status == plain_status))
	diff "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/traced"
}

# The server's process is the one that is signalled: the shell is replaced.
traced_server() {
	exec ./ringtrace -o "$TRACE" "$@"
}

needs_jq() {
	command -v jq >/dev/null || skip "jq is not installed"
}

# is_json FILE: and not an empty one, which jq takes, too.
is_json() {
	[ -s "$1" ] && jq . "$1" >/dev/null
}

# well_formed FILE: JSON, times that do not run backwards in a lane, and in each lane begin, the same
# operation's end, begin, end, ... with nothing open at the end.
well_formed() {
	[ -s "$1" ]
	jq -e '
		[.[] | select(.ph == "B" or .ph == "E")]
		| length > 0 and (group_by([.pid, .tid]) | all(
			([.[].ts] | . == sort)
			and (length % 2 == 0)
			and (. as $lane | all(range(0; length);
				if . % 2 == 0 then $lane[.].ph == "B"
				else $lane[.].ph == "E" and $lane[.].name == $lane[. - 1].name end))))' "$1"
}

@test "ringtrace: --help goes to standard output" {
	run --separate-stderr ./ringtrace --help
	((status == 0))
	[[ $output == Usage:* ]]
	[ -z "$stderr" ]
}

@test "ringtrace: wrong usage is said, with status 2" {
	run ./ringtrace
	((status == 2))
	[[ $output == *"no PROGRAM to run"* ]]
	run ./ringtrace --only accept,receive ./day01/setup
	((status == 2))
	[[ $output == *"calls, nop, "*", poll_add, "*"'receive' is no operation of io_uring"* ]]
	run ./ringtrace --user-data octal ./day01/setup
	((status == 2))
	[[ $output == *"'octal' is neither hex nor dec"* ]]
	run ./ringtrace --no-such-option
	((status == 2))
}

@test "ringtrace: a program that it cannot trace gets a clear message" {
	run ./ringtrace "$BATS_TEST_TMPDIR/no-such-program"
	((status == 1))
	[[ $output == *"No such file or directory"* ]]

	printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"
	run ./ringtrace "$BATS_TEST_TMPDIR/script"
	((status == 1))
	[[ $output == *"a script: with -f, what it starts is traced, too"* ]]
}

@test "ringtrace: a statically linked program gets a clear message" {
	"${CC:-cc}" -static -D_GNU_SOURCE -o "$BATS_TEST_TMPDIR/static" tests/foreign/links.c -luring ||
		skip "no static libraries to link with"
	run ./ringtrace "$BATS_TEST_TMPDIR/static"
	((status == 1))
	[[ $output == *"statically linked: its liburing is a part of it"*"bpftrace -c PROGRAM tools/ringtrace/requests.bt"* ]]
}

@test "ringtrace: a program that the dynamic linker preloads nothing into gets advice that works" {
	cp day01/setup "$BATS_TEST_TMPDIR/setgid"
	chgrp 1 "$BATS_TEST_TMPDIR/setgid" && chmod g+s "$BATS_TEST_TMPDIR/setgid" || skip "needs root, for another group"
	run ./ringtrace "$BATS_TEST_TMPDIR/setgid"
	((status == 1))
	[[ $output == *"set-group-ID bit"*"trace a copy of it"* ]]
	cp "$BATS_TEST_TMPDIR/setgid" "$BATS_TEST_TMPDIR/copy"
	traced "$BATS_TEST_TMPDIR/copy" >/dev/null
	in_order '^  nop +1 +1$'
}

@test "ringtrace: requests.bt shows whole SQEs, CQEs and times, from the kernel's tracepoints" {
	command -v bpftrace >/dev/null || skip "needs bpftrace"
	bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1 || skip "bpftrace may not trace here"
	[ -e /sys/kernel/btf/vmlinux ] || skip "needs a kernel with BTF"
	! sanitized || skip "bpftrace starts no program that needs its environment"
	bpftrace -o "$TRACE" -c "$PWD/day02/registered-files README.md" tools/ringtrace/requests.bt >/dev/null 2>&1
	in_order 'SQE  OPENAT  fd -100 len 0 addr 0x[0-9a-f]+ .* user_data 0x' 'CQE  = 0  flags 0x0  user_data .* after [0-9]+ us$' \
		'SQE  READ  fd [0-9]+ len [0-9]+ addr 0x[0-9a-f]+ off ' 'CQE  = [0-9]+ '
}

@test "ringtrace: a program that makes the raw system calls runs, with a clear message" {
	"${CC:-cc}" -o "$BATS_TEST_TMPDIR/raw" tests/foreign/raw.c
	run --separate-stderr ./ringtrace "$BATS_TEST_TMPDIR/raw"
	((status == 0))
	[ "$output" = "a ring" ]
	[[ $stderr == *"not linked with liburing.so: if it makes the io_uring system calls itself"* ]]
	[[ $stderr == *"the program has opened no ring through liburing"* ]]
}

@test "ringtrace: a liburing of another name, loaded by the program, is passed on to, and it is said what went past" {
	local folder=$BATS_TEST_TMPDIR

	"${CC:-cc}" -D_GNU_SOURCE -w -o "$folder/loaded" tests/foreign/loaded.c -ldl
	"${CC:-cc}" -shared -o "$folder/bindings.so" -Wl,--whole-archive -l:liburing.a -Wl,--no-whole-archive ||
		skip "no static liburing to make a library of"
	run --separate-stderr ./ringtrace "$folder/loaded" "$folder/bindings.so"
	((status == 0))
	[ "$output" = 'submitted: 1' ]
	[[ $stderr == *"ring 1  opened: fd "* ]]
	[[ $stderr == *"rings that were closed unseen: 1; calls went past ringtrace"* ]]
}

@test "ringtrace: day 1, completions out of order are visible" {
	same_output ./day01/setup
	in_order 'SQE  timeout  0\.060000 s  user_data 0x0' 'SQE  timeout  0\.020000 s  user_data 0x1' \
		'SQE  nop .*user_data 0x2' 'SQE  timeout  0\.040000 s  user_data 0x3' \
		'submit\(\)  SQEs taken 4 of 4' \
		'CQE  nop      = 0  user_data 0x2  after' \
		'CQE  timeout  = -ETIME \(Timer expired\)  user_data 0x1  after [0-9]' \
		'CQE  timeout .*user_data 0x3  after' 'CQE  timeout .*user_data 0x0  after' \
		'^  timeout +3 +3  ETIME 3$' 'requests still without completion: 0'
}

# What differs from run to run: times, how often the loops looked, and how many CQEs a late look finds; and a flag
# that later liburings set.
without_times() {
	sed -E 's/(, |\|)NO_SQARRAY$//; s/CQEs there [0-9]+/CQEs there N/; s/^ +[0-9]+\.[0-9]{6} /TIME /; s/[0-9]+\.[0-9]{3} ms/N ms/; s/[0-9]+ to look/N to look/' |
		sort -u
}

@test "ringtrace: the transcripts in its lesson are what is printed" {
	./ringtrace ./day01/setup 2>&1 >/dev/null 3>&- 4>&- | without_times >"$BATS_TEST_TMPDIR/printed"
	sed -n '/^$ .\/ringtrace .\/day01\/setup >/,/^```/p' tools/ringtrace/README.md | sed '1d; $d' |
		without_times >"$BATS_TEST_TMPDIR/written"
	diff "$BATS_TEST_TMPDIR/written" "$BATS_TEST_TMPDIR/printed"
}

@test "ringtrace: the trace goes to standard error without -o" {
	run --separate-stderr ./ringtrace ./day01/setup
	((status == 0))
	[[ $output != *"SQE  timeout"* ]]
	[[ $stderr == *"SQE  timeout"* ]]
}

@test "ringtrace: day 1 with SQPOLL, submitting is a system call only to wake the thread" {
	# A second is time enough for the next submit, also on a busy machine.
	traced ./day01/sqpoll --idle 1000
	has_lines "$TRACE" 'SQEs for the SQPOLL thread 1, it slept and is woken, .* ms$' 2
	has_lines "$TRACE" 'SQEs for the SQPOLL thread 1, it is awake, .*, no system call$' 1
	in_order 'it slept and is woken' 'it is awake' 'it slept and is woken' \
		'calls that entered the kernel: 2 \(submit 2\)'
}

@test "ringtrace: SQPOLL shows no submit call while the thread is awake" {
	same_output build/tests/foreign/sqpoll
	# Right after its creation the thread may have to be woken once.
	in_order 'SQE  nop       user_data 0x0' 'submit\(\)  SQEs for the SQPOLL thread 1' \
		'SQE  nop       user_data 0x1$'
	sed -n '/SQE  nop       user_data 0x1$/,$p' "$TRACE" >"$BATS_TEST_TMPDIR/awake"
	has_lines "$BATS_TEST_TMPDIR/awake" 'submit\(\) .*it is awake, .*no system call$' 99
	has_lines "$BATS_TEST_TMPDIR/awake" 'is woken' 0
	in_order '^  nop +100 +100$' 'calls that did not: (99|100) to submit'
}

@test "ringtrace: day 2, descriptors and slots are told apart" {
	printf 'some text\n' >"$BATS_TEST_TMPDIR/file"
	same_output ./day02/registered-files "$BATS_TEST_TMPDIR/file"
	in_order 'register_files_sparse\([0-9]+ slots\) = 0' "SQE  openat   cwd '.*' into " \
		'CQE  openat ' 'SQE  read     slot [0-9]+ len [0-9]+ addr .*FIXED_FILE' \
		'CQE  read     = 10 ' 'SQE  close    slot' 'CQE  close    = 0'
}

@test "ringtrace: a failing operation shows its error's name" {
	same_output ./day02/registered-files "$BATS_TEST_TMPDIR/no-such-file"
	in_order 'SQE  openat ' 'CQE  openat   = -ENOENT \(No such file or directory\)' \
		'^  openat +1 +1  ENOENT 1$'
}

@test "ringtrace: day 3, a multishot accept is one SQE and many CQEs with MORE" {
	same_answers ./day03/accept 0 -- one two three
	has_lines "$TRACE" 'SQE  accept ' 1
	in_order 'SQE  accept   (fd|slot) [0-9]+ into any free slot .*MULTISHOT'
	has_lines "$TRACE" 'CQE  accept   = slot [0-9]+  MORE ' 3
}

@test "ringtrace: day 3, a multishot poll answers with events" {
	same_answers ./day03/poll-accept 0 -- one two
	in_order 'SQE  poll_add .* for POLLIN' 'CQE  poll_add = POLLIN.*'
}

@test "ringtrace: day 4 gives the same answers" {
	same_answers ./day04/event-loop 0 -- some 'more than some'
	grep -q 'ack 14' "$BATS_TEST_TMPDIR/traced"
	in_order 'SQE  accept ' 'CQE  accept   = slot 0' 'SQE  recv     slot 0' 'CQE  recv     = 4' \
		'SQE  send     slot 0' 'CQE  send     = ' 'closed' 'summary'
}

@test "ringtrace: day 5 gives the same answers, and buffers are shown" {
	same_answers ./day05/echo 0 -- some 'more than some'
	in_order 'register_buf_ring\(group 0, ' 'SQE  accept ' \
		'SQE  recv     slot 0 .*group 0  FIXED_FILE\|BUFFER_SELECT  MULTISHOT' \
		'submit_and_wait\(1\)  SQEs taken [0-9]+ of [0-9]+, CQEs there [0-9]+, ' \
		'CQE  recv     = 4  buffer [0-9]+ .*MORE' 'SQE  send     slot 0 len 4' 'CQE  send     = 4' \
		'CQE  close    = 0' 'closed'
}

@test "ringtrace: day 5 stays correct under 50 connections" {
	start_server ./ringtrace -o /dev/null ./day05/echo 0
	bench/load --connections 50 --in-flight 4 --count 20000 "$PORT"
	stop_server TERM
	((status == 0))
}

@test "ringtrace: links, timeouts, provided buffers and shared user_data" {
	same_output build/tests/foreign/links
	in_order 'SQE  read     fd -1 .*LINK  user_data 0x1$' 'SQE  nop       LINK  user_data 0x2$' \
		'CQE  read     = -EBADF .*0x1 ' 'CQE  nop      = -ECANCELED .*0x2 ' \
		'SQE  link_timeout 0\.001000 s for the SQE before it' 'CQE  read     = -ECANCELED' \
		'SQE  provide_buffers 4 of len 64 from buffer 0, group 7' \
		'SQE  read .*group 7  BUFFER_SELECT' 'CQE  read     = 5  buffer 0' \
		'SQE  nop       CQE_SKIP_SUCCESS  user_data 0x1e' \
		'CQE  timeout .*\(of one of 2 SQEs with this user_data\)' \
		'CQE  timeout .*\(of one of the SQEs with this user_data\)' \
		'wait_cqes\(1\) = -ETIME' 'submit_and_wait_timeout\(2\) ' \
		'requests still without completion: 1: read user_data 0x3c' \
		'CQE_SKIP_SUCCESS, a CQE only on failure: 1 \(nop 1\)' \
		'requests still without completion: 1 \(read 1\)'
	# What is silent on success is no request without a completion.
	has_lines "$TRACE" 'CQE .*0x1e ' 0
}

@test "ringtrace: a message's vectors and its address, and pointers that lead nowhere" {
	local buffers

	same_output build/tests/foreign/messages
	buffers=$(./ringtrace -o "$TRACE" build/tests/foreign/messages | sed -n 's/^buffer at //p' | xargs)
	buffers=${buffers//+/\\+}
	in_order "SQE  sendmsg  fd [0-9]+ iov 2: $buffers  user_data" "SQE  recvmsg  fd [0-9]+ iov 2: $buffers  user" \
		"SQE  sendmsg  fd [0-9]+ iov 20: $buffers 0x[0-9a-f]+\+5( 0x[0-9a-f]+\+[0-9]+){13} \.\.\.  user" \
		"SQE  readv    fd [0-9]+ iov 3: $buffers 0x[0-9a-f]+\+5 offset 0 " \
		'SQE  sendmsg  fd [0-9]+ 127\.0\.0\.1:9 iov 1: 0x[0-9a-f]+\+3 ' \
		'SQE  sendmsg  fd [0-9]+ message at 0x8 ' 'CQE  sendmsg  = -EFAULT' \
		'SQE  sendmsg  fd [0-9]+ iov 2 \(not readable\) ' 'CQE  sendmsg  = -EFAULT' \
		'SQE  writev   fd [0-9]+ iov 2 \(not readable\) offset 0 ' 'CQE  writev   = -EFAULT'
}

@test "ringtrace: entries of twice the size, and the two completions of a zero copy send" {
	same_output build/tests/foreign/large
	in_order 'opened: .*SQE128\|CQE32' 'SQE  nop       user_data 0x1$' 'SQE  nop       user_data 0x3$' \
		'CQE  nop      = 0  user_data 0x1 ' 'CQE  nop      = 0  user_data 0x3 ' \
		'SQE  send_zc  fd [0-9]+ len 20 ' 'CQE  send_zc  = 20  MORE  user_data 0x4 ' \
		'CQE  send_zc  = [0-9]+  NOTIF  user_data 0x4 ' '^  send_zc +1 +2$'
}

# newer WHAT: the same of tests/foreign/newer with and without; skips the test where it is too old for it.
newer() {
	local status=0

	build/tests/foreign/newer "$1" >"$BATS_TEST_TMPDIR/reason" || status=$?
	((status != 77)) || skip "$(tail -n 1 "$BATS_TEST_TMPDIR/reason")"
	same_output build/tests/foreign/newer "$1"
}

@test "ringtrace: an SQ that begins at its first entry again and again" {
	newer rewind
	in_order 'opened: .*SQ_REWIND' 'SQE  nop       user_data 0x1$' 'SQE  nop       user_data 0x3$' \
		'submit\(\)  SQEs taken 3 of 3,' 'CQE  nop      = 0  user_data 0x3  after' \
		'SQE  nop       user_data 0x4$' 'submit\(\)  SQEs taken 3 of 3,' 'user_data 0x6  after' \
		'SQE  nop       user_data 0x7$' 'submit\(\)  SQEs taken 3 of 3,' 'user_data 0x9  after' \
		'user_data 0x64  \(prepared, and never submitted\)' '^  nop +9 +9$' \
		'requests still without completion: 0'
}

@test "ringtrace: an SQE of twice the size among others" {
	newer sqe-mixed
	in_order 'opened: .*SQE_MIXED' 'SQE  nop       user_data 0x1$' 'SQE  nop       user_data 0x2$' \
		'SQE  nop128    user_data 0x3$' 'submit\(\)  SQEs taken 3 of 3,' 'CQE  nop128   = 0  user_data 0x3 ' \
		'SQE  nop       user_data 0x4$' '^  nop +3 +3$' '^  nop128 +1 +1$'
}

@test "ringtrace: a CQE of twice the size among others" {
	newer cqe-mixed
	in_order 'opened: .*CQE_MIXED' 'CQE  nop      = 0  user_data 0x7  after' \
		'SQE  nop       CQE32  user_data 0x8' 'CQE  nop      = 0  CQE32  user_data 0x8  after' \
		'CQE  nop      = 0  user_data 0x9  after' 'CQE  nop      = 0  CQE32  user_data 0xa  after' \
		'^  nop +10 +10$'
	has_lines "$TRACE" 'CQE  ' 10
}

@test "ringtrace: a ring in memory of the program, left open" {
	newer no-mmap
	in_order 'opened: .*NO_MMAP' 'SQE  nop       user_data 0x1$' 'CQE  nop      = 0  user_data 0x1  after' \
		'user_data 0x2  \(prepared, and never submitted\)' '^  nop +1 +1$'
}

@test "ringtrace: a ring that gets another size" {
	newer resize
	in_order 'opened: fd [0-9]+, 4 SQEs, 8 CQEs' 'submit\(\)  SQEs taken 3 of 3,' 'user_data 0x3  after' \
		'resized: fd [0-9]+, 16 SQEs, (32|64) CQEs' 'resize_rings\(16 SQEs, 64 CQEs\) = 0' \
		'SQE  nop       user_data 0x4$' 'submit\(\)  SQEs taken 10 of 10, CQEs there 11' \
		'user_data 0x4  after' 'user_data 0xd  after' 'closed' '^  nop +13 +13$'
	has_lines "$TRACE" 'CQE  ' 13
}

@test "ringtrace: a buffer that is used in pieces" {
	newer buffers-inc
	in_order 'register_buf_ring\(group 5, 512 buffers, INC\) = 0' 'CQE  recv     = 6  buffer 0  BUF_MORE ' \
		'CQE  recv     = 10  buffer 0  user_data'
}

@test "ringtrace: a send of vectors" {
	newer vectorized
	in_order 'SQE  send     fd [0-9]+ iov 2: 0x[0-9a-f]+\+4 0x[0-9a-f]+\+4  SEND_VECTORIZED' 'CQE  send     = 8 '
}

@test "ringtrace: a timeout without a timespec" {
	newer immediate
	in_order 'SQE  timeout  0\.001500 s  IMMEDIATE_ARG' 'CQE  timeout  = -ETIME'
}

@test "ringtrace: bundles of buffers, and MORE without a multishot" {
	newer bundle
	in_order 'SQE  recv .*group 5  BUFFER_SELECT  BUNDLE ' 'CQE  recv     = [0-9]+  buffers 0 to [12]  '
	newer send-bundle
	in_order 'SQE  send .*group 5  BUFFER_SELECT  BUNDLE ' \
		'CQE  send     = 256  buffers 0 to 255  MORE  user_data 0x1  after' \
		'CQE  send     = 44  buffers 256 to 299  user_data 0x1  after' '^  send +1 +2$'
	newer bundle-inc
	in_order 'CQE  recv     = 20  buffer 0 and perhaps others after it  '
}

@test "ringtrace: the buffers of a bundle, in the order in which they lie in their ring" {
	newer bundles
	# "buffers 5 to 6, 0" written out.
	sed -nE 's/.*CQE  recv     = ([0-9]+)  buffers? ([^ ]+( to [0-9]+)?(, [0-9]+( to [0-9]+)?)*)  .*/\1: \2/p' "$TRACE" |
		awk '{
			gsub(",", "")
			list = $1
			for (i = 2; i <= NF; i += $(i + 1) == "to" ? 3 : 1)
				for (number = $i; number <= ($(i + 1) == "to" ? $(i + 2) : $i); number++)
					list = list " " number
			print list
		}' >"$BATS_TEST_TMPDIR/lists"
	head -n "$(wc -l <"$BATS_TEST_TMPDIR/plain")" "$BATS_TEST_TMPDIR/lists" | diff "$BATS_TEST_TMPDIR/plain" -
	in_order 'buffers [0-9]+, [0-9]+'
}

@test "ringtrace --check: the buffers of a bundle that are given back, and one of them twice" {
	newer bundles
	checked build/tests/foreign/newer bundles
	((status == 0))
	in_order 'mistakes that --check has found: 0'
	checked build/tests/foreign/newer bundle-twice
	((status == 3))
	in_order 'mistakes that --check has found: 1$' 'MISTAKE  buffer 1 of group 5 is put into its ring, where it already is'
}

@test "ringtrace: a message's completion in the other ring" {
	newer message-flags
	in_order 'ring 1  SQE  msg_ring fd [0-9]+ is the ring to tell: result 12 with user_data 0xabc  FLAGS_PASS' \
		'ring 2  CQE  \?        = 12  MORE  user_data 0xabc  \(msg_ring of ring 1\)'
}

@test "ringtrace: the system call with more arguments" {
	newer enter2
	in_order 'enter2\(fd [0-9]+, submit 1, wait for 1, GETEVENTS\|EXT_ARG\)  SQEs taken 1 of 1, CQEs there 1' \
		'CQE  nop      = 0  user_data 0x1' 'enter2\(fd [0-9]+, submit 0, wait for 2, .*SQEs taken 0 of 0'
}

@test "ringtrace: functions that liburings after 2.3 have added" {
	newer later-calls
	in_order 'ring 1  clone_buffers\(of the ring with fd [0-9]+\) = 0' \
		'ring 1  clone_buffers_offset\(of the ring with fd [0-9]+, 1 buffers from 0 to 0\) = 0' \
		'ring 1  buf_ring_head\(group 5\) = 0' 'register_sync_msg\(to the ring with fd [0-9]+, result 12\) = 0' \
		'register_query\(\) = 0' 'ring 1  CQE  \? .*= 12  user_data 0xabc'
}

@test "ringtrace: strace counts the same system calls" {
	local program calls

	command -v strace >/dev/null || skip "strace is not installed"
	strace -o /dev/null true || skip "strace may not trace here"
	! sanitized || skip "the leak sanitizer does not work under strace"
	for program in links overflow threads; do
		strace -f -e trace=io_uring_enter -o "$BATS_TEST_TMPDIR/strace" \
			./ringtrace -o "$TRACE" "build/tests/foreign/$program"
		calls=$(lines "$BATS_TEST_TMPDIR/strace" 'io_uring_enter\(')
		in_order "calls that entered the kernel: $calls "
	done
}

@test "ringtrace: two rings in two threads" {
	same_output build/tests/foreign/threads
	has_lines "$TRACE" '^ +[0-9.]+  \[[0-9]+\]  ring 1  CQE  nop ' 2000
	has_lines "$TRACE" '^ +[0-9.]+  \[[0-9]+\]  ring 2  CQE  nop ' 2000
	# One write a line: none is torn.
	run grep -Ev '^ +[0-9]+\.[0-9]{6}  (\[[0-9]+\]  )?ring(trace:| [12] ) ?[^ ]|^  [a-zC]' "$TRACE"
	[ -z "$output" ]
	in_order 'summary, rings: 2' '^  nop +4000 +4000$' '1000 \(submit_and_wait 1000\); 4\.00 completions'
}

@test "ringtrace: an overflow, and completions that nobody could see, are counted" {
	same_output build/tests/foreign/overflow
	in_order 'ring 2  12 CQEs were consumed and overwritten unseen' \
		'ring 2  CQE  \? .*\(msg_ring of ring 1\)' 'ring 2  CQ overflow' \
		'^  nop +16 +16$' 'CQ overflows: 1; CQEs lost: 0; CQEs missed by ringtrace: 12'
}

@test "ringtrace: the program finds its surroundings unchanged, and a child is told apart" {
	same_output build/tests/foreign/surroundings
	in_order 'ring 1  closed' '\[[0-9]+\]  ring 2  opened' '\[[0-9]+\]  ringtrace: summary' \
		'^ +[0-9.]+  ringtrace: summary, rings: 1'
	LD_PRELOAD='' same_output build/tests/foreign/surroundings
}

@test "ringtrace: lies in a folder whose name LD_PRELOAD would not take" {
	local folder="$BATS_TEST_TMPDIR/blank and colon: \$LIB"

	mkdir -p "$folder/build"
	cp ringtrace "$folder"
	cp build/libringtrace.so "$folder/build"
	traced() {
		"$folder/ringtrace" -o "$TRACE" "$@"
	}
	same_output build/tests/foreign/surroundings
	in_order 'ring 1  closed' '^ +[0-9.]+  ringtrace: summary, rings: 1'
	[ "$(traced sh -c build/tests/foreign/surroundings 2>/dev/null)" = "$(build/tests/foreign/surroundings)" ]
}

@test "ringtrace: liburing's packaged examples" {
	local examples=/usr/share/doc/liburing-dev/examples

	[ -e $examples/io_uring-cp.c ] || skip "liburing's examples are not installed"
	"${CC:-cc}" -D_GNU_SOURCE -w -o "$BATS_TEST_TMPDIR/cp" $examples/io_uring-cp.c -luring
	"${CC:-cc}" -D_GNU_SOURCE -w -o "$BATS_TEST_TMPDIR/link-cp" $examples/link-cp.c -luring
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/from"
	same_output "$BATS_TEST_TMPDIR/cp" "$BATS_TEST_TMPDIR/from" "$BATS_TEST_TMPDIR/to"
	cmp "$BATS_TEST_TMPDIR/from" "$BATS_TEST_TMPDIR/to"
	in_order 'SQE  readv    fd [0-9]+ iov 1: ' 'CQE  readv    = ' 'SQE  writev ' 'CQE  writev   = '
	same_output "$BATS_TEST_TMPDIR/link-cp" "$BATS_TEST_TMPDIR/from" "$BATS_TEST_TMPDIR/to"
	cmp "$BATS_TEST_TMPDIR/from" "$BATS_TEST_TMPDIR/to"
	in_order 'SQE  readv .*LINK' 'SQE  writev '
}

@test "ringtrace: --only and --user-data" {
	./ringtrace -o "$TRACE" --only link_timeout,provide_buffers --user-data dec build/tests/foreign/links
	has_lines "$TRACE" 'SQE  ' 2
	has_lines "$TRACE" 'CQE  ' 2
	has_lines "$TRACE" 'SQEs taken' 0
	in_order 'CQE  link_timeout .*user_data 11 ' 'CQE  provide_buffers .*user_data 20 ' '^  nop +5 +4'
	./ringtrace -o "$TRACE" --only cancel build/tests/foreign/wrong cancel-of-two
	has_lines "$TRACE" 'SQE  ' 1
	in_order 'SQE  async_cancel '
	./ringtrace -o "$TRACE" --only timeout build/tests/foreign/links
	has_lines "$TRACE" '[CS]QE  link_timeout' 0
	./ringtrace -o "$TRACE" --only nop,calls --user-data hex build/tests/foreign/links
	in_order 'SQE  nop .*user_data 0x2$' 'SQEs taken'
}

@test "ringtrace -f: what a program starts, or becomes, is traced, and what uses no ring is silent" {
	sanitized && skip "the sanitizers want to be loaded first, which in a shell they aren't"
	printf '#!/bin/sh\nday01/setup --entries 8\ntrue\nbuild/tests/foreign/links >/dev/null\nexec day01/setup --entries 4\n' \
		>"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"
	run --separate-stderr timeout 20 ./ringtrace -f -o "$TRACE" "$BATS_TEST_TMPDIR/script"
	((status == 0))
	[[ "$output" == *"io_uring_queue_exit: the ring is gone"*"the ring is gone"* ]]
	wait_until grep -q 'ring 3  SQE' "$TRACE"
	in_order '\[[0-9]+\]  ring 1  SQE  timeout' 'summary, rings: 1' '\[[0-9]+\]  ring 2  SQE  nop' 'summary, rings: 1' \
		'the program has opened no ring' 'ring 3  SQE  timeout' 'ring 3  closed' 'summary, rings: 1'
	has_lines "$TRACE" 'summary|no ring' 4
	# Without it, nothing but the program itself.
	traced sh -c 'day01/setup >/dev/null; true' 2>/dev/null
	has_lines "$TRACE" 'SQE  ' 0
}

@test "ringtrace: --slow and --times" {
	./ringtrace -o "$TRACE" --slow 10 --times day01/setup >/dev/null
	has_lines "$TRACE" 'SQE  |CQE  nop' 0
	has_lines "$TRACE" 'CQE  timeout .* after [2-9][0-9]\.' 3
	has_lines "$TRACE" 'wait_cqe\(\) .* [0-9]+\.[0-9]+ ms$' 1
	in_order '^  timeout +3 +3' 'first CQE  count +median' '^  nop +1 +[0-9]\.[0-9]+ ' \
		'^  timeout +3 +[4-9][0-9]\.[0-9]{3} +[6-9][0-9]\.[0-9]{3} +[6-9][0-9]\.[0-9]{3}$'
	run ./ringtrace --slow fast day01/setup
	((status == 2))
}

@test "ringtrace: programs that are not safe end as they end without it" {
	same_output build/tests/foreign/broken failed
	in_order 'a ring of 8 entries = -EINVAL' 'the program has opened no ring'
	same_output build/tests/foreign/broken closed-twice
	has_lines "$TRACE" '  CQE  ' 1
	in_order 'ring 1  closed' 'register_files_sparse\(4 slots\) = -EBADF' 'summary, rings: 1'
	for _ in 1 2 3 4 5; do
		run timeout 20 ./ringtrace -o "$TRACE" build/tests/foreign/broken exit-in-fork
		((status == 7))
		in_order 'summary, rings: 1'
	done
}

has_summary() {
	grep -q 'requests still without completion' "$TRACE"
}

@test "ringtrace: a program that a signal kills has a summary, too" {
	run ./ringtrace -o "$TRACE" build/tests/foreign/broken killed
	((status == 128 + 9))
	wait_until has_summary
	in_order 'CQE  nop      = 0' 'summary, rings: 1; the program was killed' '^  nop +1 +1$'
}

@test "ringtrace: of a program that hangs it says what each thread is in, and --check looks at it" {
	start_server ./ringtrace -w "$BATS_TEST_TMPDIR/log" -o "$TRACE" --check build/tests/foreign/hangs not-submitted
	wait_until grep -q cqring_wait "/proc/$PID/wchan"
	stop_server TERM
	((status == 128 + 15))
	wait_until has_summary
	in_order "ring 1  in wait_cqe\(\) for [0-9.]+ s; prepared and not submitted: 1 \(recv fd $PORT\); in flight: 0$" \
		'MISTAKE  it waits with 1 SQE prepared and not submitted' 'mistakes that --check has found: 1'
	# A log that is kept has it, too.
	./ringtrace -r "$BATS_TEST_TMPDIR/log" --check | diff "$TRACE" -
	# The search for leaks at the end interrupts what waits.
	! sanitized || return 0
	same_output build/tests/foreign/hangs exit-while-waiting
	in_order '\[[0-9]+\]  ring 1  in submit_and_wait\(11\) for [0-9.]+ s; in flight: 0$' '^  nop +10 +10$' \
		'requests still without completion: 0'
	run grep -E '[0-9]{7,}|never submitted|unseen' "$TRACE"
	[ -z "$output" ]
}

@test "ringtrace: a child that uses its parent's ring makes no number run over" {
	checked build/tests/foreign/hangs shared-ring
	((status == 0))
	in_order 'ring 2  submit\(\)  SQEs taken 3 of 3' 'ring 1  wait_cqe_timeout\(\) = -ETIME'
	run grep -E '[0-9]{8,}' "$TRACE"
	[ -z "$output" ]
}

@test "ringtrace: children that are killed while they write to the log hold up nobody" {
	run timeout 60 ./ringtrace -o "$TRACE" build/tests/foreign/hangs killed-children
	((status == 0))
	[ "$output" = 'all children are gone' ]
	wait_until has_summary
	in_order '^ +[0-9.]+  ringtrace: summary, rings: 1$' '^  nop +4000 +4000$'
}

@test "ringtrace: SQEs that were never submitted, or never taken, are said to be that" {
	traced build/tests/foreign/broken prepared
	in_order 'SQE  nop .*\(prepared, and never submitted\)' '^  nop +1 +1$' \
		'SQEs prepared, and never submitted: 1 \(nop 1\)' 'requests still without completion: 0'
	traced build/tests/foreign/broken untaken
	# The one that the kernel has not taken is no candidate for the CQEs that came.
	in_order 'SQEs taken 2 of 3' 'CQE  .*of one of 2 SQEs with' 'SQEs never taken by the kernel: 1: nop' \
		'SQEs never taken by the kernel: 1 \(nop 1\)' 'requests still without completion: 0'
}

@test "ringtrace: many requests with the same user_data take no longer than others" {
	# A search through all of them takes minutes.
	timeout 20 ./ringtrace -o "$TRACE" build/tests/foreign/many 16384
	in_order 'CQE  nop .*\(of one of 16384 SQEs' 'CQE  nop .*\(of one of the SQEs with this user_data\)' \
		'^  nop +65536 +65536$' 'requests still without completion: 0'
}

@test "ringtrace: a notification says whether the kernel has copied" {
	is_recent || skip "needs Linux 6.2"
	same_output build/tests/foreign/large report
	in_order 'ZC_REPORT_USAGE' 'CQE  send_zc  = 20  MORE' 'CQE  send_zc  = (not )?copied  NOTIF  user_data 0x5'
}

@test "ringtrace: system calls, vectors, paths, addresses and messages between rings" {
	same_output build/tests/foreign/calls
	in_order 'register\(fd [0-9]+, PERSONALITY, 0\) = 1' 'SQE  writev   fd [0-9]+ iov 2: 0x[0-9a-f]+\+3 0x[0-9a-f]+\+4 offset 0 ' \
		"SQE  linkat   cwd '/no/such/file' to cwd '/no/such/link' personality 1" \
		'SQE  connect  fd [0-9]+ 127\.0\.0\.1:9 ' \
		'SQE  msg_ring fd [0-9]+ is the ring to tell: result 12 with user_data 0xabc' \
		'enter\(fd [0-9]+, submit 4, wait for 4, GETEVENTS\)  SQEs taken 4 of 4' \
		'ring 2  CQE  \?        = 12  user_data 0xabc  \(msg_ring of ring 1\)'
}

@test "ringtrace: every operation's line" {
	build/tests/foreign/calls operations >"$BATS_TEST_TMPDIR/lines"
	./ringtrace -o "$TRACE" build/tests/foreign/calls operations >/dev/null
	sed -n 's/.*  SQE  //p' "$TRACE" | diff "$BATS_TEST_TMPDIR/lines" -
	(($(wc -l <"$BATS_TEST_TMPDIR/lines") >= 65))
}

@test "ringtrace: where the log has no room the trace ends, and the program goes on" {
	[ -w /dev/full ] || skip "needs /dev/full"
	run --separate-stderr ./ringtrace -o /dev/full ./day01/setup
	((status == 0))
	[[ $stderr == *"the trace ends here"* ]]
	run --separate-stderr ./ringtrace -w /dev/full ./day01/setup
	((status == 1))
	# The limit is the program's, too, which writes no more than a few lines.
	run --separate-stderr bash -c "ulimit -f 8; ./ringtrace -w '$BATS_TEST_TMPDIR/log' build/tests/foreign/threads"
	((status == 0))
	[[ $output == *"2000 and 2000"* ]]
	[[ $stderr == *"the log ends here: File too large"* ]]
	run bash -c './ringtrace build/tests/foreign/threads 2>&1 >/dev/null | head -n 1; echo "${PIPESTATUS[0]}"'
	[[ ${lines[1]} == 0 ]]
}

# checked PROGRAM [ARG]...: with what --check says of it in TRACE, and its status in `status`.
checked() {
	status=0
	timeout 20 ./ringtrace "${CHECK:---check=fail}" -o "$TRACE" "$@" >/dev/null || status=$?
}

# mistakes.bats compares what --check says of each mistake, and of its fix, with what the text says.
@test "ringtrace --check: says what is wrong where it happens and at the end, with the fix, and ends with status 3" {
	local -A said=(
		[deaf-accept]='the multishot accept on fd [0-9]+ has ended, and was not armed again'
		[never-submitted]='it waits with 1 SQE prepared and not submitted'
		[two-sends]='two sends in flight on fd [0-9]+, not linked'
	)
	local mistake

	for mistake in "${!said[@]}"; do
		checked "mistakes/$mistake"
		((status == 3))
		in_order "MISTAKE .*${said[$mistake]}.* \\(.+\\)$" 'mistakes that --check has found: [1-9]' \
			"MISTAKE .*${said[$mistake]}"
		checked "mistakes/$mistake" --fixed
		((status == 0))
		in_order 'mistakes that --check has found: 0'
	done
}

# wrong WHAT PATTERN...: what build/tests/foreign/wrong does under this name is warned of in these words, and no
# other warning is given.
wrong() {
	local what=$1 pattern

	shift
	checked build/tests/foreign/wrong "$what"
	echo "$what: $status"
	((status == 3))
	in_order "mistakes that --check has found: $#$" "${@/#/MISTAKE .*}"
}

@test "ringtrace --check: CQEs, slots and results that are used wrongly" {
	wrong seen-too-often 'more CQEs are marked as seen than there were: 1'
	wrong slot-as-descriptor '100 is the number of a slot, and was used as a descriptor' \
		'close\(100\) is of a slot.s number'
	wrong result-as-descriptor 'the result of a failed request, -9, is used as a descriptor'
	wrong overlap 'a receive and a send in flight with the same user_data, 0x7' \
		'memory that is being sent is received into'
	wrong overlap-in-message 'a receive and a send in flight with the same user_data, 0x7' \
		'memory that is being sent is received into'
}

@test "ringtrace --check: a buffer that the kernel has already, or that is being sent" {
	wrong buffer-twice 'buffer 1 of group 0 is put into its ring, where it already is \('
	wrong no-buffer 'buffer 0 of group 0 .* already is, after a CQE that brings no buffer, of a recv = 0'
	wrong given-while-sent 'buffer 1 of group 0 is put into its ring while a send from it is in flight'
	wrong sent-while-given 'a send from buffer 0 of group 0, which is in its ring'
}

@test "ringtrace --check: a send that was short, and whose rest is forgotten" {
	wrong send-forgotten 'a send on fd [0-9]+ took [0-9]+ of 4194304 bytes, and the rest was never sent'
	wrong message-forgotten 'a sendmsg on fd [0-9]+ took [0-9]+ of 4194368 bytes, and the rest was never sent'
	wrong write-forgotten 'a write on fd [0-9]+ took [0-9]+ of 4194304 bytes, and the rest was never sent'
	wrong linked-sends 'a send on fd [0-9]+ took [0-9]+ of 4194304 bytes, and the one linked to it has sent on'
}

@test "ringtrace --check: a thread that does nothing but look" {
	wrong busy-looks 'for 1\.[0-9] s of processor time a thread has done nothing but look into the CQ, in vain'
}

@test "ringtrace --check: links, groups, sends and cancels that cannot mean what they say" {
	wrong link-timeout-alone 'a link_timeout that no SQE is linked to'
	wrong link-timeout-cut-off 'a link_timeout that no SQE is linked to'
	wrong multishot-without-group 'a multishot recv without IOSQE_BUFFER_SELECT'
	wrong group-empty 'group 0 was never given a buffer, and a receive found none'
	wrong sent-again 'a send took [0-9]+ of 4194304 bytes, and the next one begins at the same address'
	wrong cancel-of-two 'a cancel of user_data 0x7, which 2 requests in flight have'
	# The sanitizers lay out the stack in another way.
	sanitized || wrong local-variable 'a timeout with the address of a local variable whose function has returned'
	wrong sends-to-slot 'two sends in flight on slot 1, not linked'
	# Sends that pick a buffer are of Linux 6.10.
	! is_recent || wrong sends-from-group 'two sends in flight on slot 1, not linked'
	# Once a send, however many it overtakes; and once for all the rings in which it happens.
	wrong four-sends 'two sends in flight on fd [0-9]+, not linked.*, 3 times$'
	wrong in-each-ring 'an SQE, read, was prepared, and never submitted.*, 5 times$'
}

@test "ringtrace --check=user-data: user_data that nobody has set" {
	local CHECK=--check=fail,user-data what

	wrong user-data-unset 'nobody has set the user_data of a nop: 0x5 is left over'
	wrong one-unset 'nobody has set the user_data of a nop: 0x1 is left over'
	for what in user-data-by-place user-data-polled user-data-in-child user-data-in-threads; do
		checked build/tests/foreign/harmless $what
		((status == 0))
	done
	# Otherwise nothing is done to the program's SQEs that would show it, also not in a log that is kept.
	run ./ringtrace --check=fail build/tests/foreign/wrong user-data-unset
	((status == 0))
	run ./ringtrace --check=fast build/tests/foreign/wrong user-data-unset
	((status == 2))
	[[ $output == *"--check: 'fast' is neither fail nor user-data"* ]]
	./ringtrace -w "$BATS_TEST_TMPDIR/log" build/tests/foreign/wrong user-data-unset
	run ./ringtrace -r "$BATS_TEST_TMPDIR/log" --check=fail
	((status == 0))
}

@test "ringtrace --check: the program goes on with its own user_data where the trace ends" {
	local what

	[ -w /dev/full ] || skip "needs /dev/full"
	for what in user-data-by-place user-data-polled user-data-in-child user-data-in-threads; do
		./ringtrace --check=user-data -o /dev/full build/tests/foreign/harmless $what
	done
}

@test "ringtrace --check: what looks like a mistake, and is none" {
	local what

	for what in same-user-data two-datagrams buffers-again rest-moved peer-dropped peer-shut-down peer-lost room-awaited send-cancelled \
		end-near looks-and-work user-data-by-place batches closed-at-end seen-at-end \
		submit-fails refilled user-data-read messages-alike; do
		checked build/tests/foreign/harmless $what
		echo "$what: $status"
		((status == 0))
		in_order 'mistakes that --check has found: 0'
	done
	# The last one's messages are credited to the rings that have sent them.
	in_order 'ring 1  CQE  \? .*\(msg_ring of ring 2\)' 'ring 1  CQE  \? .*\(msg_ring of ring 3\)'
}

@test "ringtrace: it ends with the program; a child that goes on has its summary and its list later" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	status=0
	timeout 20 ./ringtrace --check=fail -o "$TRACE" --json "$BATS_TEST_TMPDIR/json" \
		build/tests/foreign/outlived "$BATS_TEST_TMPDIR/fifo" 3>&- || status=$?
	((status == 3))
	in_order 'ring 1  MISTAKE' 'ringtrace: summary, rings: 1' 'mistakes that --check has found: 1$' 'ring 1  MISTAKE'
	has_lines "$TRACE" 'ring 2' 0
	has_lines "$TRACE" 'mistakes that --check has found' 1
	timeout 20 tee "$BATS_TEST_TMPDIR/fifo" </dev/null
	wait_until is_json "$BATS_TEST_TMPDIR/json"
	in_order 'mistakes that --check has found: 1$' 'ring 2  MISTAKE' '\[[0-9]+\]  ringtrace: summary, rings: 1' \
		'mistakes that --check has found: 1$' 'ring 2  MISTAKE'
}

nobody_is_connected() {
	[ -z "$(ss -Htn state established state close-wait "sport = :$PORT")" ]
}

@test "ringtrace --check: no false alarm, of the days under load and of programs that mean no harm" {
	local program

	for program in day01/setup day01/sqpoll 'day02/registered-files README.md' bench/ring-ops \
		build/tests/foreign/{links,large,threads,overflow,surroundings,calls}; do
		# shellcheck disable=SC2086 # a program and its argument
		checked $program
		echo "$program: $status"
		((status == 0))
	done
	for program in 'day05/echo' 'day05/echo --buffers 8'; do
		# shellcheck disable=SC2086
		start_server ./ringtrace --check=fail -o "$TRACE" $program 0
		bench/load --connections 20 --in-flight 4 --size 3000 --count 4000 "$PORT"
		bench/load --connections 5 --stream --duration 300 "$PORT"
		bench/load --connections 10 --connect --duration 300 "$PORT"
		wait_until nobody_is_connected # or day 5's end leaves closes that are prepared
		stop_server TERM
		((status == 0)) || {
			echo "status $status"
			grep -A 3 MISTAKE "$TRACE"
			false
		}
	done
	start_server ./ringtrace --check=fail -o "$TRACE" day04/event-loop 0
	bench/load --connections 10 --count 2000 --reply $'ack 64\n' "$PORT"
	stop_server TERM
	((status == 0))
	start_server ./ringtrace --check=fail -o "$TRACE" day03/accept 0
	bench/load --connections 10 --connect --size 0 --duration 300 "$PORT"
	stop_server TERM
	wait_until grep -q 'mistakes that' "$TRACE"
	in_order 'mistakes that --check has found: 0'
}

@test "ringtrace: a kept log gives the same lines, as often as it is read" {
	./ringtrace -w "$BATS_TEST_TMPDIR/log" -o "$TRACE" build/tests/foreign/links
	./ringtrace -r "$BATS_TEST_TMPDIR/log" | diff "$TRACE" -
	./ringtrace -r "$BATS_TEST_TMPDIR/log" --only timeout -o "$BATS_TEST_TMPDIR/timeouts"
	has_lines "$BATS_TEST_TMPDIR/timeouts" 'SQE  ' 2
	has_lines "$BATS_TEST_TMPDIR/timeouts" 'CQE  timeout' 2
}

@test "ringtrace: -w --last keeps the end of a run, in two logs of half the size" {
	local log=$BATS_TEST_TMPDIR/log

	./ringtrace -w "$log" --last 1.5M build/tests/foreign/many 16384
	(($(stat -c %s "$log") <= 768 * 1024 && $(stat -c %s "$log.old") <= 768 * 1024))
	for log in "$log" "$log.old"; do
		./ringtrace -r "$log" -o "$TRACE"
		in_order 'ring 1  found open: fd [0-9]+, ' '[SC]QE  ' 'summary, rings: 1'
	done
	./ringtrace -r "$BATS_TEST_TMPDIR/log" -o "$TRACE"
	in_order 'ring 1  closed'
	run ./ringtrace --last 1X day01/setup
	((status == 2))
}

@test "ringtrace: -w prints nothing, and what is no log is said" {
	run --separate-stderr ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./day01/setup
	((status == 0))
	[ -z "$stderr" ]
	head -c 1234 "$BATS_TEST_TMPDIR/log" >"$BATS_TEST_TMPDIR/short"
	run --separate-stderr ./ringtrace -r "$BATS_TEST_TMPDIR/short"
	((status == 1))
	[[ $output == *"opened: fd "* ]]
	[[ $stderr == *"the log is cut off"* ]]
	# An older version's: its records have the same sizes, and other meanings.
	printf '\2' | dd of="$BATS_TEST_TMPDIR/log" bs=1 seek=8 conv=notrunc status=none
	run --separate-stderr ./ringtrace -r "$BATS_TEST_TMPDIR/log"
	((status == 1))
	[ -z "$output" ]
	[[ $stderr == *"/log: at byte 0: of another version of ringtrace: record again with this one" ]]
	run ./ringtrace -r /dev/null
	((status == 1))
	[[ $output == *"/dev/null: at byte 0: no log of ringtrace"* ]]
}

@test "ringtrace: --json is valid, and every begin has its end" {
	needs_jq
	./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" build/tests/foreign/links
	well_formed "$BATS_TEST_TMPDIR/json"
	# Requests that are outstanding at the same time have lanes of their own.
	jq -e 'any(.[]; .name == "thread_name" and .args.name == "no descriptor (2)")' \
		"$BATS_TEST_TMPDIR/json"
	./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" build/tests/foreign/threads
	well_formed "$BATS_TEST_TMPDIR/json"
}

@test "ringtrace: --json has a connection's requests on its own track" {
	needs_jq
	start_server ./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" ./day05/echo 0
	[ "$(say_and_hear first second)" = firstsecond ]
	stop_server INT
	well_formed "$BATS_TEST_TMPDIR/json"
	jq -e '
		[.[] | select(.name == "thread_name" and (.args.name | startswith("slot 0"))) | .tid] as $lanes
		| [.[] | select(.ph == "B" and (.tid | IN($lanes[]))) | .name] as $requests
		| ["close", "recv", "send"] - $requests == []' "$BATS_TEST_TMPDIR/json"
}

@test "ringtrace: --json names the function that has prepared a request, an inlined one too" {
	needs_jq
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -DLIBURING_VERSION='""' -w -I. -O2 -finstrument-functions \
		-o "$BATS_TEST_TMPDIR/echo" day05-echo/echo.c common/*.c -luring
	start_server ./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" "$BATS_TEST_TMPDIR/echo" 0
	[ "$(say_and_hear first second)" = firstsecond ]
	stop_server INT
	jq -e '
		[.[] | select(.ph == "B") | .name + " " + .args.function] as $functions
		| ["recv prepare_recv", "send prepare_send", "close prepare_close"]
		- $functions == []' "$BATS_TEST_TMPDIR/json"
	# Compiled without, it works as ever, and names none.
	./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" day01/setup
	jq -e 'all(.[]; .args.function == null)' "$BATS_TEST_TMPDIR/json"
}

@test "ringtrace: --json is valid even when a signal ends the program" {
	needs_jq
	start_server ./ringtrace -o /dev/null --json "$BATS_TEST_TMPDIR/json" ./day05/echo 0
	[ "$(say_and_hear something)" = something ]
	stop_server KILL
	((status == 128 + 9))
	wait_until is_json "$BATS_TEST_TMPDIR/json"
	jq -e 'length > 5' "$BATS_TEST_TMPDIR/json"
}

@test "ringtrace: a damaged log is read as far as it goes, or refused in a line" {
	local sources program programs=(links threads large overflow calls messages 'newer bundles')

	# The reader with what finds its errors, whatever the rest was built with.
	sources=(tools/ringtrace/*.c common/options.c common/output.c bench/histogram.c)
	sources=("${sources[@]/*\/recorder.c/}")
	sources=("${sources[@]/*\/hooks.c/}")
	compile() {
		"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O0 -w -I. -fsanitize=address,undefined -fno-sanitize-recover=undefined "$@"
	}
	compile_object() {
		compile -c -o "$BATS_TEST_TMPDIR/$(basename "$1").o" "$1"
	}
	compile -o "$BATS_TEST_TMPDIR/nothing" -x c - <<<'int main(void) { return 0; }' ||
		skip "needs a compiler with sanitizers"
	# shellcheck disable=SC2068 # the two that are left out have become nothing
	two_at_a_time compile_object ${sources[@]}
	compile -o "$BATS_TEST_TMPDIR/reader" "$BATS_TEST_TMPDIR"/*.c.o
	for program in "${programs[@]}"; do
		# shellcheck disable=SC2086 # a program and its argument, which may be too new here
		./ringtrace -w "$BATS_TEST_TMPDIR/$program" build/tests/foreign/$program >/dev/null || (($? == 77))
	done
	read_damaged() {
		build/tests/damage "$BATS_TEST_TMPDIR/${programs[$1 % 7]}" "$1" >"$BATS_TEST_TMPDIR/$1"
		run --separate-stderr timeout 20 "$BATS_TEST_TMPDIR/reader" -r "$BATS_TEST_TMPDIR/$1" --check \
			-o /dev/null --json /dev/null --html /dev/null
		echo "seed $1: $status $stderr"
		((status <= 1))
		((${#stderr_lines[@]} <= 1))
	}
	two_at_a_time read_damaged {1..84}
}
