#!/usr/bin/env bats
# What people get wrong (mistakes/README.md): each program makes its symptom happen, its cure cures it, and the
# text shows what is printed. Whether the symptom was seen the program judges itself: its exit status says so.

load helpers

# Ports, counts and descriptors' numbers depend on the machine.
without_numbers() {
	sed -E 's/[0-9]+/N/g'
}

# printed_by NAME: what the text says that the program prints.
printed_by() {
	awk -v command="\$ ./mistakes/$1" '
		$0 == command { inside = 1; next }
		/^```$/       { inside = 0 }
		inside' mistakes/README.md
}

# seen NAME: run wrong it prints what the text shows, the last line of which says what was seen.
seen() {
	run timeout 20 "./mistakes/$1"
	echo "$output"
	[ "$status" -eq 0 ]
	diff <(printed_by "$1" | without_numbers) <(without_numbers <<<"$output")
}

cured() {
	run timeout 20 "./mistakes/$1" --cured
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == "cured: "* ]]
}

mistakes() {
	local name

	for name in "$@"; do
		seen "$name"
		cured "$name"
	done
}

# older_liburing VERSION: what the programs are built with is older than that.
older_liburing() {
	! pkg-config --atleast-version="$1" "${LIBURING:-liburing}"
}

@test "requests that nobody has submitted, completions that nobody has seen" {
	mistakes never-submitted bad-sqe-stops-batch full-queue not-seen seen-twice
}

@test "user_data and errors: whose completion, which error" {
	mistakes stale-user-data success-as-error sigpipe
}

@test "pointers to what is gone" {
	mistakes dead-timespec dead-iovec dead-buffer freed-too-soon
}

@test "buffer rings: empty, without a buffer, refused" {
	mistakes no-buffers-spin no-buffer-flag bad-buffer-ring
}

@test "slots that are used like descriptors" {
	mistakes fixed-file-forgotten fixed-file-close close-slot-number cloexec-into-slot
}

@test "close(2) while requests are in flight" {
	mistakes close-in-flight close-before-submit listener-stays port-after-kill
}

@test "links: a receive to a send, a short read" {
	mistakes linked-echo linked-short-read
}

@test "sends: two at once, a short one, one without a copy" {
	mistakes two-sends short-send zero-copy-reuse
}

@test "set-up flags: DEFER_TASKRUN, SINGLE_ISSUER, SQPOLL" {
	mistakes peek-with-defer second-thread-submits idle-without-sqpoll
}

@test "timeouts and cancels" {
	mistakes receive-timeout timeout-count cancel-first-match
}

@test "multishot: ended, and nobody looked; one address for all; a poll that is no level" {
	mistakes deaf-accept full-cq accept-address poll-without-draining
}

@test "what later versions of liburing have mended" {
	cured flags-before-prep
	cured alloc-makes-descriptor
	if older_liburing 2.4; then
		seen alloc-makes-descriptor
	fi
	if older_liburing 2.6; then
		seen flags-before-prep
	fi
}

@test "old lore does not happen" {
	seen old-lore
}

# A mistake that does not show is an error: otherwise the tests above could not fail.
@test "make mistake runs a mistake wrong and cured" {
	run make -s mistake M=not-seen
	[ "$status" -eq 0 ]
	[ "$(grep -c "^\$ ./mistakes/not-seen" <<<"$output")" -eq 2 ]
	[[ "$output" == *$'\nseen: '*$'\ncured: '* ]]
}

@test "the text has a section for each program, the index leads to each, and each is tested" {
	local name

	for name in mistakes/*.c; do
		name=$(basename "$name" .c)
		grep -qx "### $name" mistakes/README.md
		grep -q "(#$name)" mistakes/README.md
		grep -Eq "^	+(mistakes|seen) (.* )?$name( |\$)" "$BATS_TEST_FILENAME"
	done
}
