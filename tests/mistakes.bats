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
	side_by_side 4 mistake "$@"
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

# make_wrong PATCH: the tree with the patch, in $WORK/wrong.
make_wrong() {
	mkdir -p "$WORK/wrong/build"
	cp -a Makefile LICENSE common day0* bench tests tools "$WORK/wrong"
	cp -a build/flags build/common build/day0* build/bench build/tests "$WORK/wrong/build"
	patch --silent --strip=1 --directory="$WORK/wrong" <"mistakes/patches/$1.patch"
	make -s -C "$WORK/wrong" "$(basename "$FILE" .bats)"
}

# passes_with_wrong: runs the test with both programs at the same time. The wrong one fails when the test does, or takes
# three times as long as with the right one (and 10 seconds more than that at most).
passes_with_wrong() {
	local right wrong begun took patience

	begun=$(now_ms)
	begin wrong "$WORK/wrong"
	wrong=$BEGUN
	begin right .
	right=$BEGUN
	wait "$right" || true
	took=$(($(now_ms) - begun))
	patience=$((took < 5000 ? 3 * took : took + 10000))
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
	grep -q '^ok 1 ' "$WORK/report.right" || exit
	grep -q '^1\.\.1$' "$WORK/report.wrong" || exit
	((status == 0))
}

# is_shown PATCH: the test that the patch names fails with it and passes without. A busy machine may keep the wrong
# program from doing harm in time: three attempts.
is_shown() {
	WORK=$BATS_TEST_TMPDIR/$1
	FILE=$(sed -nE 's/^Shown by: (tests[^:]*): .*/\1/p' "mistakes/patches/$1.patch")
	NAME=$(sed -nE 's/^Shown by: tests[^:]*: //p' "mistakes/patches/$1.patch")
	mkdir "$WORK"
	echo 'setup_suite() { :; }' >"$WORK/setup_suite.bash"
	make_wrong "$1"
	! passes_with_wrong || ! passes_with_wrong || ! passes_with_wrong
}

are_shown() {
	sanitized && skip "the tests that they run do so themselves"
	side_by_side 4 is_shown "$@"
}

@test "patches to day 3: IORING_CQE_F_MORE is ignored; day 4: one completion a pass; the acceptor: armed when the table is full" {
	are_shown day3-more-ignored day4-one-a-pass day4-armed-when-full
}

@test "patches to day 6: unread bytes at the end, activity while ending, a stuck send is not cancelled; day 8: a file is read with a plain call, a close right after the last reply" {
	are_shown day6-stuck-send-not-cancelled day6-activity-while-ending day8-plain-read day8-close-at-once \
		day6-unread-at-the-end
}

@test "a patch to closing: a close without a shutdown" {
	is_recent && skip "shows up to Linux 6.12 only"
	are_shown day5-close-without-shutdown
}

@test "patches to day 5: two sends at once, no queue, a buffer is released too early, no pause, no own buffer; day 7: no reset, no time limit, Nagle's algorithm on the way out, closed at the first EOF, one range of slots for all" {
	are_shown day7-closed-at-the-first-eof day7-no-time-limit day5-no-own-buffer day5-two-sends day5-no-queue \
		day7-one-range-for-all day5-released-too-early day5-no-pause day7-nagle day7-no-reset
}

@test "every patch has a section, and a test" {
	local name

	for name in mistakes/patches/*.patch; do
		name=$(basename "$name" .patch)
		grep -qx "### $name" mistakes/README.md
		grep -Eq "^	+(are_shown )?(day.* )?$name( |\$)" "$BATS_TEST_FILENAME"
	done
}
