#!/usr/bin/env bats
# What every program agrees on: options, usage errors, the listening socket, and rings that cannot
# be opened.

load helpers

setup() {
	PROGRAMS=(day01/setup day01/sqpoll day01/probe day02/registered-files day03/accept day03/poll-accept)
	SERVER_PROGRAMS=(day03/accept day03/poll-accept)
}

teardown() {
	end_servers
}

@test "--help goes to standard output, begins with the usage and exits 0" {
	for program in "${PROGRAMS[@]}"; do
		run --separate-stderr "./$program" --help
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage: ./$program "* ]]
		[[ "$output" == *"--help "* ]]
		[ -z "$stderr" ]
	done
}

@test "an unknown option is a usage error: exit 2 and a pointer to --help" {
	for program in "${PROGRAMS[@]}"; do
		run --separate-stderr "./$program" --no-such-option
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[[ "$stderr" == *"'--no-such-option'"* ]]
		[[ "$stderr" == *"Try './$program --help'."* ]]
	done
}

@test "an option without its argument is a usage error" {
	for command in "day01/setup --entries" "day01/sqpoll --idle" "day03/accept --slots" \
		"day03/accept --bind" "day03/accept --count" "day03/poll-accept --bind"; do
		# shellcheck disable=SC2086 # a program and its argument
		run --separate-stderr ./$command
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"requires an argument"* ]]
	done
}

@test "a port that is no number from 0 to 65535 is a usage error that quotes it" {
	for program in "${SERVER_PROGRAMS[@]}"; do
		for port in 7003x 70000 -1 '' ' 7003' +7003 0x1b5b 99999999999999999999; do
			# "--" lets -1 through to the port's own check.
			run --separate-stderr "./$program" -- "$port"
			[ "$status" -eq 2 ]
			[ -z "$output" ]
			[[ "${stderr_lines[0]}" == "./$program: PORT: '$port' is not a number from 0 to 65535" ]]
		done
		run --separate-stderr "./$program" -1
		[ "$status" -eq 2 ]
	done
}

@test "numbers of options are checked like the port" {
	for argument in --slots=0 --slots=16385 --slots=4x --slots= --slots=-1 --count=0 --count=4294967296; do
		run --separate-stderr ./day03/accept "$argument" 0
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"'${argument#*=}' is not a number from 1 to "* ]]
	done
	for argument in --entries=0 --entries=32769 --entries=8x --entries= --idle=0 --idle=60001 --idle=x; do
		run --separate-stderr "./day01/$([[ $argument == --idle* ]] && echo sqpoll || echo setup)" "$argument"
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"'${argument#*=}' is not a number from 1 to "* ]]
	done
}

@test "one argument too many is a usage error" {
	for program in "${SERVER_PROGRAMS[@]}"; do
		run --separate-stderr "./$program" 0 7004
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"'7004' is one argument too many"* ]]
	done
	for program in day01/setup day01/sqpoll day01/probe; do
		run --separate-stderr "./$program" extra
		[ "$status" -eq 2 ]
		[[ "$stderr" == *"'extra' is one argument too many"* ]]
	done
}

@test "an address in use is said plainly" {
	local servers=(day03/accept day03/poll-accept day04/event-loop day05/echo) pids=() i
	start_server ./day03/accept 0
	# All at once, for each waits a second for the address.
	for i in "${!servers[@]}"; do
		"./${servers[i]}" "$PORT" >"$BATS_TEST_TMPDIR/out.$i" 2>"$BATS_TEST_TMPDIR/err.$i" 3>&- &
		pids+=("$!")
	done
	SERVERS+=("${pids[@]}")
	for i in "${!servers[@]}"; do
		wait_until has_ended "${pids[i]}"
		status=0
		wait "${pids[i]}" || status=$?
		echo "${servers[i]}: status $status: $(<"$BATS_TEST_TMPDIR/err.$i")"
		[ "$status" -eq 1 ]
		run ! grep listening "$BATS_TEST_TMPDIR/out.$i"
		[ "$(<"$BATS_TEST_TMPDIR/err.$i")" = "./${servers[i]}: listening on '127.0.0.1' port $PORT: bind: Address already in use (another program listens there, or one that was killed has not quite ended: give another port, or 0 for a free one)" ]
	done
}

@test "a server can be restarted on its port while its old connections linger" {
	start_server ./day03/accept 0
	build/tests/connect --count 5 "$PORT"
	stop_server TERM
	start_server ./day03/accept "$PORT"
	build/tests/connect "$PORT"
}

@test "a port that was free at once is not said to have been in use, however long that took" {
	need_strace
	start_server injected listen delay_enter=200000 ./day03/accept --count 1 0
	build/tests/connect "$PORT"
	wait "$PID"
	[ ! -s "$LOG.err" ]
}

@test "an address that this machine does not have, or nobody has, is an error with a reason" {
	run --separate-stderr ./day03/accept --bind 192.0.2.1 0
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"listening on '192.0.2.1' port 0: bind: Cannot assign requested address (this machine has no such address"* ]]

	run --separate-stderr ./day03/accept --bind 127.0.0.256 0
	[ "$status" -eq 1 ]
	[[ "$stderr" == "./day03/accept: finding the address '127.0.0.256': "* ]]
}

@test "a listening socket or a descriptor for signals that cannot be had: the call and the reason" {
	need_strace
	sanitized && skip "the sanitizers make some of these calls themselves"
	local call how program reason
	ulimit -Sn 256 # which day 5 raises
	while IFS='|' read -r call how program reason; do
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr injected "$call" "$how" ./$program
		echo "$call $how: $stderr"
		[ "$status" -eq 1 ]
		[[ "$stderr" == "./${program%% *}: $reason"* ]]
	done <<-END
		socket|error=EMFILE|day03/accept 0|listening on '127.0.0.1' port 0: socket: Too many open files (raise the limit on descriptors with ulimit -n)
		socket|error=EAFNOSUPPORT|day03/accept 0|listening on '127.0.0.1' port 0: socket: Address family not supported by protocol (this kernel does not speak that address family)
		setsockopt|error=ENOBUFS:when=1|day03/accept 0|listening on '127.0.0.1' port 0: setsockopt: No buffer space available
		setsockopt|error=ENOBUFS:when=2|day03/accept 0|listening on '127.0.0.1' port 0: setsockopt: No buffer space available
		listen|error=EADDRINUSE|day03/accept 0|listening on '127.0.0.1' port 0: listen: Address already in use (another program listens there
		getsockname|error=ENOBUFS|day03/accept 0|getsockname: No buffer space available
		getsockname|poke_exit=@arg2=0000|day03/accept 0|getnameinfo: ai_family not supported
		fcntl|error=EPERM:when=1|day03/poll-accept 0|fcntl: Operation not permitted
		rt_sigprocmask|error=EINVAL|day04/event-loop 0|sigprocmask: Invalid argument
		signalfd4|error=EMFILE|day04/event-loop 0|signalfd: Too many open files
		prlimit64|error=EPERM:when=2|day01/probe|getrlimit: Operation not permitted
		prlimit64|error=EPERM:when=2|day05/echo 0|getrlimit: Operation not permitted
		prlimit64|error=EPERM:when=3|day05/echo 0|setrlimit: Operation not permitted
	END
}

@test "without a PORT each server takes its own" {
	need_strace
	local server port
	# The socket is bound in the trace only: the ports may be somebody's.
	while read -r server port; do
		run --separate-stderr injected bind error=EACCES "./$server"
		[ "$status" -eq 1 ]
		[[ "$stderr" == "./$server: listening on '127.0.0.1' port $port: bind: Permission denied"* ]]
	done <<-END
		day03/accept 7003
		day03/poll-accept 7003
		day04/event-loop 7004
		day05/echo 7005
	END
}

@test "IPv6: the address is announced in brackets and accepts connections" {
	[ -e /proc/net/if_inet6 ] && grep -q '^0*1 .* lo$' /proc/net/if_inet6 || skip "no IPv6 loopback here"
	for program in "${SERVER_PROGRAMS[@]}"; do
		start_server "./$program" --bind ::1 0
		[ "$(head -n 1 "$LOG")" = "listening on [::1]:$PORT" ]
		run timeout 10 socat -u "TCP6:[::1]:$PORT" -
		[ "$status" -eq 0 ]
		wait_until has_lines "$LOG" '^connection 1: ' 1
		stop_server TERM
	done
}

@test "IPv4: the address is announced with the port that was found" {
	start_server ./day03/accept --bind 127.0.0.2 0
	[ "$(head -n 1 "$LOG")" = "listening on 127.0.0.2:$PORT" ]
	((PORT > 0))
}

@test "a ring that cannot be opened: every program gives the reason and the way out" {
	need_strace
	local program error advice
	while IFS='|' read -r error advice; do
		for program in day01/setup day01/sqpoll day01/probe "day02/registered-files LICENSE" "day03/accept 0" "day03/poll-accept 0"; do
			# shellcheck disable=SC2086 # a program and its arguments
			run --separate-stderr injected io_uring_setup "error=$error" ./$program
			[ "$status" -eq 1 ]
			[[ "$stderr" == *"$advice"* ]]
			[ "${#stderr_lines[@]}" -eq 1 ]
		done
	done <<-END
		ENOSYS|Function not implemented (this kernel, or the container it shows itself through, has no io_uring
		ENOMEM|Cannot allocate memory (the limit on locked memory
		EMFILE|Too many open files (this process may not open another descriptor: raise the limit with ulimit -n
		ENFILE|Too many open files in system (the system may not open another file
		EINVAL|Invalid argument (this kernel does not know a set-up flag
		ENODEV|No such device (see man 2 io_uring_setup
	END
}

@test "a forbidden ring: the sysctl where it is set, otherwise the container's seccomp profile" {
	local setting=0
	[ -e /proc/sys/kernel/io_uring_disabled ] && setting=$(</proc/sys/kernel/io_uring_disabled)
	need_strace
	run --separate-stderr injected io_uring_setup error=EPERM ./day03/accept 0
	[ "$status" -eq 1 ]
	if [ "$setting" = 0 ]; then
		[[ "$stderr" == *"Operation not permitted (the container's seccomp profile forbids io_uring"* ]]
	else
		[[ "$stderr" == *"Operation not permitted (kernel.io_uring_disabled is $setting"* ]]
	fi
}

@test "a forbidden ring: kernel.io_uring_disabled 1 and 2 are told apart" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to show the program another setting"
	[ -e /proc/sys/kernel/io_uring_disabled ] || skip "this kernel has no kernel.io_uring_disabled (Linux 6.6 has)"
	unshare --mount true 2>/dev/null || skip "needs to make a mount namespace"
	need_strace
	for setting in 1 2; do
		echo "$setting" >"$BATS_TEST_TMPDIR/setting"
		# Only this program sees the setting: it is mounted in a namespace of its own.
		run --separate-stderr injected io_uring_setup error=EPERM unshare --mount sh -c '
			mount --bind "$1" /proc/sys/kernel/io_uring_disabled && exec ./day03/accept 0' \
			sh "$BATS_TEST_TMPDIR/setting"
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"(kernel.io_uring_disabled is $setting: "* ]]
	done
}

@test "a registration that the kernel refuses: the reason, the feature and the day" {
	need_strace
	# liburing itself tries again after the first EMFILE, with a raised limit.
	local program when error reason
	while IFS='|' read -r program when error reason; do
		# shellcheck disable=SC2086 # a program and its arguments
		run --separate-stderr injected io_uring_register "error=$error:when=$when" ./$program
		[ "$status" -eq 1 ]
		[[ "$stderr" == *"$reason"* ]]
	done <<-END
		day02/registered-files LICENSE|1|EINVAL|io_uring_register_ring_fd: Invalid argument (this kernel lacks registered ring descriptors, which Linux 5.18 has; day 2 needs them)
		day02/registered-files LICENSE|2|EINVAL|io_uring_register_files_sparse: Invalid argument (this kernel lacks sparse tables, which Linux 5.19 has; day 2 needs them)
		day02/registered-files LICENSE|3|EBADF|standard output: io_uring_register_files_update: Bad file descriptor
		day03/accept 0|2|EINVAL|io_uring_register_files_sparse: Invalid argument (this kernel lacks sparse tables, which Linux 5.19 has; day 2 and later need them)
		day03/accept 0|2+|EMFILE|io_uring_register_files_sparse: Too many open files (raise the limit on descriptors with ulimit -n
		day03/accept 0|2|ENOMEM|io_uring_register_files_sparse: Cannot allocate memory (raise the limit on locked memory
	END
}

@test "an interrupted or busy io_uring_enter is made again" {
	need_strace
	for error in EINTR EAGAIN EBUSY ENOMEM; do
		run --separate-stderr injected io_uring_enter "error=$error:when=1..3" ./day02/registered-files LICENSE
		[ "$status" -eq 0 ]
		[ "$output" = "$(<LICENSE)" ]
	done
}

@test "sockets, rings and signal descriptors are close-on-exec" {
	start_server ./day03/accept 0
	local info
	for info in /proc/"$PID"/fdinfo/*; do
		case $(readlink "/proc/$PID/fd/${info##*/}") in
		socket:* | *io_uring* | *signalfd*)
			# O_CLOEXEC is 02000000.
			((8#$(sed -n 's/^flags:\s*//p' "$info") & 8#2000000))
			;;
		esac
	done
}

@test "the command that installs what is needed is this system's, from the table in docs/install.md" {
	local system likes first

	while IFS='|' read -r system likes first; do
		printf 'ID="%s"\nID_LIKE="%s"\n' "$system" "$likes" >"$BATS_TEST_TMPDIR/os-release"
		run --separate-stderr tools/set-up-command "$BATS_TEST_TMPDIR/os-release"
		echo "$system: $output"
		[[ "$output" == "$first "*liburing* ]]
		[ "${#lines[@]}" -eq 1 ]
		[ -z "$stderr" ]
	done <<-END
		debian||apt-get install
		linuxmint|ubuntu debian|apt-get install
		fedora||dnf install
		rocky|rhel centos fedora|dnf install
		arch||pacman -S
		opensuse-leap|suse opensuse|zypper install
		alpine||apk add
	END
	echo ID=plan9 >"$BATS_TEST_TMPDIR/os-release"
	[ "$(tools/set-up-command "$BATS_TEST_TMPDIR/os-release")" = "what the table in docs/install.md says" ]
}

@test "make: a missing compiler, pkg-config or liburing is one line that says how to get it" {
	run make --no-print-directory LIBURING=no-such-library day01
	[ "$status" -eq 2 ]
	[[ "$output" == *"no liburing 2.3 or later that pkg-config knows: $(tools/set-up-command)"* ]]
	[ "${#lines[@]}" -eq 1 ]

	run make --no-print-directory CC=no-such-compiler day01
	[ "$status" -eq 2 ]
	[[ "$output" == *"no C compiler 'no-such-compiler': $(tools/set-up-command)"* ]]
	[ "${#lines[@]}" -eq 1 ]

	# A PATH with little but make and a shell.
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$(command -v make)" "$(command -v sh)" "$(command -v gcc)" "$(command -v sed)" "$(command -v dirname)" \
		"$BATS_TEST_TMPDIR/bin"
	run env PATH="$BATS_TEST_TMPDIR/bin" make --no-print-directory CC=gcc day01
	[ "$status" -eq 2 ]
	[[ "$output" == *"no pkg-config: $(tools/set-up-command)"* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "make help and set-up-command in a Turkish locale, where i and I are no pair" {
	local expected
	need_locale tr_TR
	expected=$(make --no-print-directory help)
	[ "$(LC_ALL=tr_TR.UTF-8 make --no-print-directory help)" = "$expected" ]
	(($(wc -l <<<"$expected") > 10))
	echo ID=ALPINE >"$BATS_TEST_TMPDIR/os-release"
	LC_ALL=tr_TR.UTF-8 run tools/set-up-command "$BATS_TEST_TMPDIR/os-release"
	[[ "$output" == "apk add "* ]]
}

@test "every script says which locale its numbers and letters are of" {
	local script

	for script in .ci/run exercise exercises/check.bash tests/helpers.bash tests/setup_suite.bash \
		$(grep -lE '^#!.*sh$' bench/* mistakes/* tools/* tests/*); do
		echo "$script"
		grep -q '^export LC_ALL=C' "$script" || ! grep -qE '\b(awk|sed|sort|printf|tr|grep)\b' "$script"
	done
}

@test "bats before 1.7: one line says which is needed and how to get it, and nothing is run" {
	# It ends the process that has started it.
	run bash -c 'BATS_VERSION=1.2.1 BATS_TEST_DIRNAME=tests bash -c ". tests/helpers.bash; echo not reached" 3>&1; true'
	[ "$status" -eq 143 ]
	[ "$output" = "# The tests need bats 1.7 or later, this is 1.2.1: git clone https://github.com/bats-core/bats-core, then bats-core/bin/bats tests" ]
}

@test "memory whose size does not fit is refused, and never a mapping that is too small" {
	run -1 --separate-stderr build/tests/house map 0x8000000000000001 2
	[ "$stderr" = "build/tests/house: mmap of 9223372036854775809 times 2 bytes: Cannot allocate memory" ]
	run -0 build/tests/house map 1000 4096
	[ "$output" = "mapped: 4096000" ]
}

@test "the limit on open files: connections that take more than one each, beside others" {
	run -0 prlimit --nofile=100:200 build/tests/house allow 100 2 64
	[ "$output" = "connections: 68 instead of 100 (the hard limit on open files: ulimit -Hn)
allowed: 68" ]
	run -0 prlimit --nofile=100:264 build/tests/house allow 100 2 64
	[ "$output" = "allowed: 100" ]
	run -1 --separate-stderr prlimit --nofile=65:65 build/tests/house allow 100 2 64
	[ "$stderr" = "build/tests/house: 65 open files are too few for a single connection (raise the hard limit: ulimit -Hn)" ]
}

@test "a full /tmp: the tour, an exercise and the benchmark say so, and wait for nothing" {
	local full=$BATS_TEST_TMPDIR/full in_full
	mkdir -p "$full" "$BATS_TEST_TMPDIR/tree"
	unshare --mount true 2>/dev/null || skip "needs to make a mount namespace"
	# shellcheck disable=SC2016 # for the inner shell
	in_full=(env TMPDIR="$full" unshare --mount bash -c 'mount -t tmpfs -o size=64k none "$TMPDIR" &&
		{ head -c 1M /dev/zero >"$TMPDIR/all"; } 2>/dev/null; exec timeout 20 "$@"' bash)
	run -1 "${in_full[@]}" tools/tour
	[ "$output" = "tour: no room for a scratch file in $full: free some, or set TMPDIR" ]
	run -1 "${in_full[@]}" bench/run --quick --only latency --results "$BATS_TEST_TMPDIR/results"
	[ "$output" = "bench/run: no room for scratch files in $full: free some, or set TMPDIR" ]
	cp -a exercise exercises day01-setup "$BATS_TEST_TMPDIR/tree"
	cd "$BATS_TEST_TMPDIR/tree"
	./exercise start 1.1
	run -1 "${in_full[@]}" ./exercise check
	[ "$output" = "No room for scratch files in $full: free some, or set TMPDIR." ]
}

tour_with_a_silent_server() {
	sed 's/^WAIT_SECONDS=.*/WAIT_SECONDS=1/; /^cd /d; s,^start ./day03/accept 0,start sleep 100,' tools/tour >"$BATS_TEST_TMPDIR/silent"
	run -1 timeout 30 bash "$BATS_TEST_TMPDIR/silent"
	[[ "$output" == *"tour: sleep hasn't said within 1 s that it listens"* ]]
}

tour_with_an_endless_server() {
	sed "s/^WAIT_SECONDS=.*/WAIT_SECONDS=1/; /^cd /d; s,^start ./day03/accept 0,start bash -c 'trap \"\" INT; echo listening on a:1; sleep 9' 0,
		s/^	client true/	true/" tools/tour >"$BATS_TEST_TMPDIR/endless"
	run -1 timeout 30 bash "$BATS_TEST_TMPDIR/endless"
	[[ "$output" == *"tour: the server hasn't ended within 1 s of SIGINT"* ]]
}

@test "the tour does not wait for ever for a server that does not say that it listens, or does not end" {
	at_once tour_with_a_silent_server tour_with_an_endless_server
}

@test "make help lists what can be made, also without liburing" {
	run make --no-print-directory LIBURING=no-such-library help
	[ "$status" -eq 0 ]
	for target in all day01 test tour lint clean help SANITIZE; do
		grep -qw "$target" <<<"$output"
	done
}
