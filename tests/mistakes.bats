#!/usr/bin/env bats
# What people get wrong (mistakes/README.md): each program makes its symptom happen, its fix fixes it, and the
# text shows what is printed. Whether the symptom was seen the program judges itself: its exit status says so.

load helpers
load peers

setup() {
	# A sanitizer that gives functions frames elsewhere than on the stack hides the mistakes with dead ones.
	export ASAN_OPTIONS=detect_stack_use_after_return=0
}

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
	run --separate-stderr timeout 20 "./mistakes/$1"
	echo "$output"
	[ "$status" -eq 0 ]
	diff <(printed_by "$1" | without_numbers) <(without_numbers <<<"$output")
}

fixed() {
	run timeout 20 "./mistakes/$1" --fixed
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == "fixed: "* ]]
}

# checked NAME: ringtrace --check says of the wrong one what the text says it does, or, where the text has
# nothing, nothing; and nothing of the fixed one.
checked() {
	local says list status=0 trace=$BATS_TEST_TMPDIR/$1.trace

	says=$(awk -v heading="### $1" '/^### / { inside = $0 == heading } inside && sub(/^> /, "")' \
		mistakes/README.md)
	# There a look that finds nothing calls nobody.
	[ "$1" != peek-with-defer ] || older_liburing 2.15 || says=''
	timeout 20 ./ringtrace --check=fail,user-data -o "$trace" "./mistakes/$1" >/dev/null 3>&- || status=$?
	list=$(sed -n '/^ringtrace: mistakes/,$p' "$trace")
	echo "$list"
	[[ "$list" == "ringtrace: mistakes "* ]] || return
	if [ -z "$says" ]; then
		[ "$status" -ne 3 ] || return
	else
		[ "$status" -eq 3 ] || return
		without_numbers <<<"$list" | grep -qF -- "MISTAKE  $(without_numbers <<<"$says")" || return
	fi
	timeout 20 ./ringtrace --check=fail,user-data -o "$trace" "./mistakes/$1" --fixed >/dev/null 3>&-
	! grep MISTAKE "$trace"
}

mistake() {
	local checking

	# Both the recorder and the sanitizers want to be the first that is loaded.
	sanitized || checked "$1" >"$BATS_TEST_TMPDIR/$1.checked" 2>&1 &
	checking=$!
	seen "$1"
	fixed "$1"
	wait "$checking" || {
		echo "ringtrace --check, $1:"
		cat "$BATS_TEST_TMPDIR/$1.checked"
		return 1
	}
}

mistakes() {
	two_at_a_time mistake "$@"
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

@test "files: dead paths, names that lead out, FIFOs, sizes of another file, links, shared buffers" {
	mistakes dead-path dot-dot-by-hand fifo-in-worker statx-before-open linked-read-send two-in-one-buffer
}

@test "several threads: one listener, one signal, rings and buffers of others" {
	mistakes one-listener signal-for-one message-to-closed-ring foreign-buffer
}

@test "close(2) while requests are in flight" {
	mistakes close-in-flight close-before-submit listener-stays port-after-kill
}

@test "links: a receive to a send, a short read" {
	mistakes linked-echo linked-short-read
}

@test "sends: two at once, a short one, one without a copy" {
	mistakes two-sends short-send zero-copy-reuse truncated-looks-whole
}

@test "set-up flags: DEFER_TASKRUN, SINGLE_ISSUER, SQPOLL" {
	mistakes peek-with-defer second-thread-submits idle-without-sqpoll
}

@test "timeouts and cancels" {
	mistakes receive-timeout timeout-count cancel-first-match multishot-link-timeout timeout-each limit-cut-off send-after-cancel
}

@test "multishot: ended, and nobody looked; one address for all; a poll that is no level" {
	mistakes deaf-accept full-cq accept-address poll-without-draining
}

@test "what later versions of liburing have mended" {
	fixed flags-before-prep
	fixed alloc-makes-descriptor
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
@test "make mistake runs a mistake wrong and fixed" {
	run make -s mistake M=not-seen
	[ "$status" -eq 0 ]
	[ "$(grep -c "^\$ ./mistakes/not-seen" <<<"$output")" -eq 2 ]
	[[ "$output" == *$'\nseen: '*$'\nfixed: '* ]]
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

# Patches that make a mistake of one of the days' programs. What shows it is a test of that day, and so this is
# also a proof that those tests test something.

# begin REPORT FOLDER: runs the test NAME of FILE there, in the background; sets BEGUN, its process id. What is printed
# goes to the report.
begin() {
	local name outer=()

	# The variables of this run of bats, some of which are read-only; but where bats itself lies is the same.
	for name in "${!BATS_@}"; do
		[[ $name =~ ^BATS_(ROOT|LIBDIR|LIBEXEC|BASE_LIBDIR)$ ]] || outer+=("--unset=$name")
	done
	(
		cd "$2" && exec env "${outer[@]}" timeout -k 2 60 bats --filter "^${NAME//[^A-Za-z0-9,: -]/.}\$" \
			--setup-suite-file "$WORK/setup_suite.bash" "$FILE"
	) >"$WORK/report.$1" 2>&1 3>&- &
	BEGUN=$!
}

# is_shown PATCH: the test that the patch names fails with it, or takes three times as long as it has taken with the
# right program (10 seconds at most), and passes without.
is_shown() {
	local right wrong begun took patience

	sanitized && skip "the tests that it runs do so themselves"
	WORK=$BATS_TEST_TMPDIR
	FILE=$(sed -nE 's/^Shown by: (tests[^:]*): .*/\1/p' "mistakes/patches/$1.patch")
	NAME=$(sed -nE 's/^Shown by: tests[^:]*: //p' "mistakes/patches/$1.patch")
	echo 'setup_suite() { :; }' >"$WORK/setup_suite.bash"
	begin right .
	right=$BEGUN
	begun=$(now_ms)

	mkdir "$WORK/wrong"
	mkdir "$WORK/wrong/build"
	cp -a Makefile LICENSE common day0* bench tests tools "$WORK/wrong"
	cp -a build/flags build/common build/day0* build/bench build/tests "$WORK/wrong/build"
	patch --silent --strip=1 --directory="$WORK/wrong" <"mistakes/patches/$1.patch"
	make -s -C "$WORK/wrong" "$(basename "$FILE" .bats)"
	begin wrong "$WORK/wrong"
	wrong=$BEGUN

	wait "$right" || true
	took=$(($(now_ms) - begun))
	patience=$((took < 3333 ? 3 * took : 10000))
	begun=$(now_ms)
	until has_ended "$wrong" || (($(now_ms) - begun > patience)); do
		sleep 0.02
	done
	kill -TERM "$wrong" 2>/dev/null || true
	status=0
	wait "$wrong" || status=$?
	echo "the right program: within $took ms"
	cat "$WORK/report.right"
	echo "the wrong one: status $status"
	cat "$WORK/report.wrong"
	grep -q '^ok 1 ' "$WORK/report.right"
	grep -q '^1\.\.1$' "$WORK/report.wrong"
	[ "$status" -ne 0 ]
}

@test "a patch to day 3: IORING_CQE_F_MORE is ignored" {
	is_shown day3-more-ignored
}

@test "a patch to the acceptor: armed when the table is full" {
	is_shown day4-armed-when-full
}

@test "a patch to day 4: one completion a pass" {
	is_shown day4-one-a-pass
}

@test "a patch to day 5: two sends at once" {
	is_shown day5-two-sends
}

@test "a patch to day 5: no queue" {
	is_shown day5-no-queue
}

@test "a patch to day 5: a buffer is released too early" {
	is_shown day5-released-too-early
}

@test "a patch to day 5: no pause" {
	is_shown day5-no-pause
}

@test "a patch to day 5: no own buffer" {
	is_shown day5-no-own-buffer
}

@test "a patch to day 6: unread bytes at the end" {
	is_shown day6-unread-at-the-end
}

@test "a patch to day 6: activity while ending" {
	is_shown day6-activity-while-ending
}

@test "a patch to day 6: a stuck send is not cancelled" {
	is_shown day6-stuck-send-not-cancelled
}

@test "a patch to day 8: a file is read with a plain call" {
	is_shown day8-plain-read
}

@test "a patch to day 8: a close right after the last reply" {
	is_shown day8-close-at-once
}

@test "a patch to closing: a close without a shutdown" {
	is_recent && skip "shows up to Linux 6.12 only"
	is_shown day5-close-without-shutdown
}

@test "a patch to day 7: no reset" {
	is_shown day7-no-reset
}

@test "a patch to day 7: no time limit" {
	is_shown day7-no-time-limit
}

@test "a patch to day 7: Nagle's algorithm on the way out" {
	is_shown day7-nagle
}

@test "a patch to day 7: closed at the first EOF" {
	is_shown day7-closed-at-the-first-eof
}

@test "a patch to day 7: one range of slots for all" {
	is_shown day7-one-range-for-all
}

@test "every patch has a section, and a test" {
	local name

	for name in mistakes/patches/*.patch; do
		name=$(basename "$name" .patch)
		grep -qx "### $name" mistakes/README.md
		grep -qx "	is_shown $name" "$BATS_TEST_FILENAME"
	done
}
