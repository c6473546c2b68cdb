#!/usr/bin/env bats
# The pages of "make site" and of ringtrace --html, in a real browser. tests/site/setup installs what is needed.

load helpers

# missing: prints why the pages are not looked at here; nothing if they are.
missing() {
	local needed

	! sanitized || echo "the pages are the same"
	for needed in pandoc nc node chromium rsvg-convert; do
		command -v "$needed" >/dev/null || echo "needs $needed: tests/site/setup installs it"
	done
	[ -e /usr/share/javascript/lunr/lunr.min.js ] || echo "needs libjs-lunr: tests/site/setup installs it"
	[ -d tests/site/node_modules/axe-core ] || echo "needs playwright-core and axe-core: tests/site/setup installs them"
}

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	export RESULTS=$BATS_FILE_TMPDIR/results
	[ -z "$(missing)" ] || return 0
	timeout 400 tools/site/build "$BATS_FILE_TMPDIR/site" || return 1
	browser site "$BATS_FILE_TMPDIR/site" "$RESULTS" || return 1
}

setup() {
	local reason

	reason=$(missing | head -n 1)
	[ -z "$reason" ] || skip "$reason"
}

teardown() {
	end_servers
}

browser() {
	timeout 900 node tests/site/browser.js "$@"
}

# nothing_wrong CHECK: one browser has looked at everything, in setup_file; what did it find?
nothing_wrong() {
	run cat "$RESULTS/$1"
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "site: every page loads without an error or a request to elsewhere, and its links and anchors resolve" {
	nothing_wrong links
}

@test "site: the first page says what others show of it, has a card for each day, and its run plays when it comes into view" {
	nothing_wrong home
}

@test "site: on a phone the bar and its drawer are at hand, and tables are lists" {
	nothing_wrong phone
}

@test "site: on a wide page the present section is marked, and excerpts lead to their lines" {
	nothing_wrong desktop
}

@test "site: the search finds errors, symptoms and misspelled words, by the keyboard" {
	nothing_wrong search
}

@test "site: the glossary's words have their definitions at hand, and day 1's output is tinted" {
	nothing_wrong glossary
}

@test "site: a lesson's page is small, and is painted before its run is there" {
	nothing_wrong weight
}

@test "site: a run begins with a telling frame and a large button, and lasts some 30 seconds" {
	nothing_wrong begins
}

@test "site: each chapter of a run leads to its moment, with its sentence" {
	nothing_wrong tours
}

@test "site: the player's captions name the request, the target and the bytes of each event" {
	nothing_wrong captions
}

@test "site: the player's words and controls stay in view, its dots cover no label, day 1's requests keep their colours" {
	nothing_wrong in-view
}

@test "site: the function that an event comes from stands beside it, and leads to its source" {
	nothing_wrong functions
}

@test "site: a link leads to a moment of a run" {
	nothing_wrong deep-links
}

@test "site: each day's player plays to its end, and counts what ringtrace's summary counts" {
	nothing_wrong plays
}

@test "site: the player steps back to exactly what it showed before" {
	nothing_wrong back
}

@test "site: the keyboard alone suffices for the player, and its keys work at once" {
	nothing_wrong keyboard
}

@test "site: a click on a request tells its SQE and its CQE, and leads to them" {
	nothing_wrong picks
}

@test "site: contrast, labels and structure satisfy axe, in light and dark" {
	nothing_wrong accessible
}

@test "site: at 390, 1000 and 1440 pixels nothing is too wide, and no words overlap" {
	nothing_wrong overlaps
}

@test "site: without JavaScript the runs can be read, and the contents open" {
	nothing_wrong without-scripts
}

@test "site: every push to main publishes it" {
	grep -qx '    branches: \[main\]' .github/workflows/pages.yml
	grep -q 'make site' .github/workflows/pages.yml
	# What it installs is what "make site" would ask for; actions are named by their major version.
	for package in pandoc libjs-lunr nodejs librsvg2-bin netcat-openbsd; do
		grep -q "\\b$package\\b" .github/workflows/pages.yml
	done
	run grep -vE 'uses: actions/[a-z-]+@v[0-9]+$' <(grep 'uses:' .github/workflows/pages.yml)
	[ -z "$output" ]
}

@test "ringtrace --html: a run and its page in one go; the program's output and exit status are its own" {
	run --separate-stderr timeout 20 ./ringtrace --html "$BATS_TEST_TMPDIR/run.html" ./day01/setup --entries 2
	[ "$status" -eq 0 ]
	[[ $output == *"io_uring_queue_exit: the ring is gone" ]]
	wait_until grep -q '</html>' "$BATS_TEST_TMPDIR/run.html"
	browser says "$BATS_TEST_TMPDIR/run.html" "./day01/setup" "2 SQEs, 4 CQEs"
}

@test "ringtrace --html --from: the page begins then, in the state of then; lines do, too" {
	start_server ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./day05/echo --buffers 4 0
	# A connection that is open at 1.5 seconds, and says something more then.
	{ echo one && sleep 2 && echo two; } | timeout 10 nc -N 127.0.0.1 "$PORT" >"$BATS_TEST_TMPDIR/answer"
	kill -TERM "$PID"
	wait "$PID"
	[ "$(cat "$BATS_TEST_TMPDIR/answer")" = $'one\ntwo' ]

	run timeout 60 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html" --from 1.5
	[ "$status" -eq 0 ]
	[[ $output != "  0."* && $output != *$'\n  0.'* && $output == *"CQE  recv     = 4"*"buffer"* ]]
	browser begins "$BATS_TEST_TMPDIR/run.html" 1.5 "from 1.500 s to" "in flight3"
}

@test "ringtrace --html --from: mistakes at other times are listed, with their times" {
	timeout 20 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./build/tests/foreign/wrong seen-too-often
	run timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --check --html "$BATS_TEST_TMPDIR/run.html" --from 9
	[ "$status" -eq 0 ]
	[[ $output == *"MISTAKE  more CQEs are marked as seen than there were"*"summary"* ]]
	browser says "$BATS_TEST_TMPDIR/run.html" "Nothing happened in the time that the page is about" "1 warning of --check" \
		"ring 1  MISTAKE  more CQEs are marked" "(not at a time that this page shows)"
	run timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --from 1 --to 0.5
	[ "$status" -eq 2 ]
	run timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --from soon
	[ "$status" -eq 2 ]
}

@test "ringtrace --html: a program without a ring" {
	timeout 20 ./ringtrace --html "$BATS_TEST_TMPDIR/run.html" true
	wait_until grep -q '</html>' "$BATS_TEST_TMPDIR/run.html"
	browser says "$BATS_TEST_TMPDIR/run.html" "The program has opened no ring"
}

# kinds PAGE: time and kind of each item of a page's run.
kinds() {
	sed -n 's/^\[\([0-9]*\),[0-9]*,"\([a-z]*\)".*/\1 \2/p' "$1"
}

@test "ringtrace --html: completions are seen before the next request is made of them, and before the next one comes" {
	timeout 20 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./day02/registered-files Makefile >/dev/null
	timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html" >/dev/null
	[[ $(kinds "$BATS_TEST_TMPDIR/run.html" | cut -d ' ' -f 2 | tr '\n' ' ') == \
		*"cqe return reap sqe call take cqe return reap sqe call take cqe return "* ]]

	timeout 20 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./day01/setup >/dev/null
	timeout 20 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html" >/dev/null
	[ "$(kinds "$BATS_TEST_TMPDIR/run.html" | grep -c cqe)" -eq 4 ]
	run awk '$2 == "reap" { seen = 1 } $2 == "cqe" { if (before && $1 > before && !seen) print; before = $1; seen = 0 }' \
		<(kinds "$BATS_TEST_TMPDIR/run.html")
	[ -z "$output" ]
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

@test "ringtrace --html: what a file is called need not be UTF-8, but the page is" {
	local name=$BATS_TEST_TMPDIR/$'caf\xe9 \xc3\xa9 \xed\xa0\x80 \xf0\x9f\x8c\x80 \xc0\xaf'

	echo hello >"$name"
	timeout 20 ./ringtrace --html "$BATS_TEST_TMPDIR/run.html" ./day02/registered-files "$name"
	wait_until grep -q '</html>' "$BATS_TEST_TMPDIR/run.html"
	iconv -f UTF-8 -t UTF-16 "$BATS_TEST_TMPDIR/run.html" >/dev/null
	browser says "$BATS_TEST_TMPDIR/run.html" $'caf\xef\xbf\xbd \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x8c\x80 \xef\xbf\xbd\xef\xbf\xbd'
}

@test "ringtrace --html: a run of a million events opens within 3 seconds, and says what was left out" {
	timeout 60 ./ringtrace -w "$BATS_TEST_TMPDIR/log" ./build/tests/nops 500000
	timeout 60 ./ringtrace -r "$BATS_TEST_TMPDIR/log" --html "$BATS_TEST_TMPDIR/run.html" >/dev/null
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/run.html")" -lt 3000000 ]
	browser large "$BATS_TEST_TMPDIR/run.html"
}
