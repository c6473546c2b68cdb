#!/usr/bin/env bats
# The lessons say what happens: every console block that runs a day's program is run here, and what it
# prints is compared with what the lesson shows.
#
# A line "$ COMMAND" is run in the project's directory, the lines up to the next one are what it has to
# print. A server, which prints "listening on", gets a free port and is ended as the reader ends it, by
# Ctrl-C: the block shows that as "^C", or shows only how the output begins. Its clients are in
# the blocks that follow. Compared is all but what the machine decides: see normalized().

load helpers

teardown() {
	end_servers
}

# Addresses, ports, descriptors' numbers, times, and counts that depend on the machine's speed.
normalized() {
	sed -E -e 's/0x[0-9a-f]{4,}/ADDRESS/g' \
		-e 's/^(listening on .*:)[0-9]+$/\1PORT/' \
		-e 's/, descriptor [0-9]+$/, descriptor N/' \
		-e 's/^(connection [0-9]+: descriptor) [0-9]+$/\1 N/' \
		-e 's/^next descriptor: [0-9]+/next descriptor: N/' \
		-e 's/(nothing there yet,) [0-9]+ times/\1 N times/' \
		-e 's/after [0-9]+ ms/after N ms/' \
		-e 's/(completions|system calls|waits|completions a wait|system call): [0-9.]+/\1: N/g' \
		-e '/^(memory|ring): /s/[0-9]+/N/g' \
		-e 's/^kernel: .*/kernel: RELEASE/' -e 's/^liburing: .*/liburing: VERSION/'
}

# blocks FILE: the file's console blocks, each ended by a line with only an ASCII record separator.
blocks() {
	awk '/^```console$/ { inside = 1; next }
		inside && /^```$/ { inside = 0; print "\036"; next }
		inside' "$1"
}

# here COMMAND: as the reader types it, but without building anew, and talking to this test's server.
here() {
	local command=$1

	# shellcheck disable=SC2001 # a regular expression
	command=$(sed -E 's/^make day0[1-5] && //' <<<"$command")
	if [ -n "${PORT:-}" ]; then
		command=${command//700[345]/$PORT}
		command=$(sed -E "s/\\$\\(pidof [a-z-]+\\)/$PID/" <<<"$command")
	fi
	echo "$command"
}

# end_lesson_server: Ctrl-C to the server that runs, if one does, and compares all it has printed.
end_lesson_server() {
	[ -n "${PORT:-}" ] || return 0
	enough_lines() {
		(($(wc -l <"$LOG") >= $(sed '/^^C/,$d' <<<"$EXPECTED" | wc -l)))
	}
	wait_until enough_lines
	stop_server INT
	[ "$status" -eq 0 ]
	if [[ "$EXPECTED" == *'^C'* ]]; then
		diff <(normalized <<<"${EXPECTED/^C/}") <(normalized <"$LOG")
	else
		diff <(normalized <<<"$EXPECTED") <(head -n "$(wc -l <<<"$EXPECTED")" "$LOG" | normalized)
	fi
	PORT=
}

# check COMMAND EXPECTED: runs the command and compares; servers go on running.
check() {
	local command

	command=$(here "$1")
	echo "checking: $command"
	if [[ "$2" == *'listening on '* ]]; then
		end_lesson_server
		command=$(PORT='' here "$1")
		# shellcheck disable=SC2086 # the words of the command
		start_server $command 0
		EXPECTED=$2
	elif [[ "$command" == *"./day0"* ]] || [ -n "${PORT:-}" ]; then
		[[ "$command" != *"./day0"* ]] || end_lesson_server
		bash -c "$command" >"$BATS_TEST_TMPDIR/printed" 2>&1 </dev/null 3>&- ||
			echo "exit status $? (lessons show failures, too: what counts is what was printed)"
		diff <(printf '%s' "${2:+$2$'\n'}" | normalized) <(normalized <"$BATS_TEST_TMPDIR/printed")
	fi
	checked=$((checked + 1))
}

# check_file FILE
check_file() {
	local line command='' expected=''

	checked=0
	while IFS= read -r line <&4; do
		if [[ "$line" == '$ '* || "$line" == $'\036' ]]; then
			[ -z "$command" ] || check "$command" "${expected%$'\n'}"
			expected=''
			command=${line#'$ '}
			[ "$line" != $'\036' ] || command=''
		else
			expected+=$line$'\n'
		fi
	done 4< <(blocks "$1")
	end_lesson_server
	((checked > 0))
}

@test "day 1's lesson shows what its programs print" {
	check_file day01-setup/README.md
}

@test "day 2's lesson shows what its program prints" {
	check_file day02-registered-files/README.md
}

@test "day 3's lesson shows what its programs print" {
	check_file day03-accept/README.md
}

@test "day 4's lesson shows what its program prints" {
	check_file day04-event-loop/README.md
}

@test "day 5's lesson shows what its program prints" {
	check_file day05-echo/README.md
}

@test "every file and every day that README.md names is there, and every day's lesson is linked" {
	local name
	while read -r name; do
		[ -e "$name" ]
	done < <(grep -oE '\]\([^):]+\)' README.md | tr -d ']()')
	for name in day0[1-5]-*/; do
		grep -qF "](${name}" README.md
	done
}
