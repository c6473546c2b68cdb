#!/usr/bin/env bats
# The pages of "make site" and of ringtrace --html, in a real browser. tests/site/setup installs what is needed.

load helpers

# missing: prints why the pages are not looked at here; nothing if they are.
missing() {
	local needed

	! sanitized || echo "the pages are the same"
	for needed in pandoc nc node chromium; do
		command -v "$needed" >/dev/null || echo "needs $needed: tests/site/setup installs it"
	done
	[ -d tests/site/node_modules/axe-core ] || echo "needs playwright-core and axe-core: tests/site/setup installs them"
}

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	export RESULTS=$BATS_FILE_TMPDIR/results
	[ -z "$(missing)" ] || return 0
	timeout 120 tools/site/build "$BATS_FILE_TMPDIR/site" || return 1
	browser site "$BATS_FILE_TMPDIR/site" "$RESULTS" || return 1
}

setup() {
	local reason

	reason=$(missing | head -n 1)
	[ -z "$reason" ] || skip "$reason"
}

browser() {
	timeout 200 node tests/site/browser.js "$@"
}

# nothing_wrong CHECK: one browser has looked at everything, in setup_file; what did it find?
nothing_wrong() {
	run cat "$RESULTS/$1"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "site: every page loads without an error or a request to elsewhere, and its links and anchors resolve" {
	nothing_wrong links
}

@test "site: each day's player plays to its end, and counts what ringtrace's summary counts" {
	nothing_wrong plays
}

@test "site: the player steps back to exactly what it showed before" {
	nothing_wrong back
}

@test "site: the keyboard alone suffices for the player" {
	nothing_wrong keyboard
}

@test "site: a click on a request tells its SQE and its CQE, and leads to them" {
	nothing_wrong picks
}

@test "site: contrast, labels and structure satisfy axe, in light and dark" {
	nothing_wrong accessible
}

@test "site: at 390 and 1440 pixels nothing is too wide, and no words overlap" {
	nothing_wrong overlaps
}

@test "site: without JavaScript the runs can be read" {
	nothing_wrong without-scripts
}

@test "ringtrace --html: a run and its page in one go; the program's output and exit status are its own" {
	run --separate-stderr timeout 20 ./ringtrace --html "$BATS_TEST_TMPDIR/run.html" ./day01/setup --entries 2
	[ "$status" -eq 0 ]
	[[ $output == *"io_uring_queue_exit: the ring is gone" ]]
	wait_until grep -q '</html>' "$BATS_TEST_TMPDIR/run.html"
	browser says "$BATS_TEST_TMPDIR/run.html" "./day01/setup" "2 SQEs, 4 CQEs"
}

@test "ringtrace --html: what a file is called cannot break out of the page" {
	local name="$BATS_TEST_TMPDIR/a</script><script>throw 1<!--\"\\"

	mkdir "${name%/*}"
	echo hello >"$name"
	timeout 20 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./day02/registered-files "$name"
	timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html"
	[ "$(grep -o '</script>' "$BATS_TEST_TMPDIR/run.html" | wc -l)" -eq 2 ]
	browser says "$BATS_TEST_TMPDIR/run.html" "throw 1"
}

@test "ringtrace --html: a run of a million events opens within 3 seconds, and says what was left out" {
	timeout 60 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./build/tests/nops 250000
	timeout 60 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html" >/dev/null
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/run.html")" -lt 3000000 ]
	browser large "$BATS_TEST_TMPDIR/run.html"
}
