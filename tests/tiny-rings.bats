#!/usr/bin/env bats
# The servers with rings of one and two entries and the smallest completion queues: copies of their sources
# with other constants. The submission queue is full and the completion queue overflows all the time, and
# no byte may be lost.

setup() {
	load helpers.bash
	load peers.bash
}

teardown() {
	end_servers
}

# build_with SOURCE CONSTANT=VALUE...: builds the program with its named constants changed, into PROGRAM, and
# compiles common/$REBUILT.c anew.
build_with() {
	local source flags=() setting objects=(build/common/*.o)

	mkdir -p "$BATS_TEST_TMPDIR/$BASHPID"
	source=$BATS_TEST_TMPDIR/$BASHPID/$(basename "$1")
	PROGRAM=${source%.c}
	# The compiler takes it for the original.
	{ echo "#line 1 \"$1\"" && cat "$1"; } >"$source"
	for setting in "${@:2}"; do
		grep -Eq "^#define ${setting%=*}[[:space:]]+[0-9]+" "$source"
		sed -Ei "s/^(#define ${setting%=*}[[:space:]]+)[0-9]+/\1${setting#*=}/" "$source"
	done
	! sanitized || flags=(-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined)
	# shellcheck disable=SC2046,SC2086 # several flags
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE ${CFLAGS:--O1 -g} "${flags[@]}" -I. "$source" \
		"${objects[@]/#build\/common\/$REBUILT.o/common/$REBUILT.c}" -o "$PROGRAM" \
		$(pkg-config --cflags --libs liburing)
}

# was_tight: at its end the server has said that its queues were full.
was_tight() {
	local name

	for name; do
		grep -Eq "$name: [1-9]" "$LOG" || {
			cat "$LOG"
			return 1
		}
	done
}

@test "day 2 with a ring of one entry" {
	build_with day02-registered-files/registered-files.c ENTRIES=1
	head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/data"
	"$PROGRAM" "$BATS_TEST_TMPDIR/data" LICENSE | cmp - <(cat "$BATS_TEST_TMPDIR/data" LICENSE)
}

@test "day 3 with rings of one entry and tables of one and two slots" {
	for slots in 1 2; do
		build_with day03-accept/accept.c RING_ENTRIES=1
		start_server "$PROGRAM" --slots "$slots" --hold 0
		launch_peers flash --connections 5 --total "$(one_by_one 100)"
		finish_peers
		stop_clean
	done
}

# day_4_with ENTRIES
day_4_with() {
	build_with day04-event-loop/event-loop.c RING_ENTRIES="$1" COMPLETION_ENTRIES="$1"
	start_server "$PROGRAM" 0
	launch_peers random --acks --connections 50 --seconds 1
	peer stream --acks --connections 100 --bytes 10000 --chunk 1000
	finish_peers
	(($1 > 1)) || start_peers absent --acks --small --connections 1
	stop_clean
	was_tight 'completion queue overflowed'
}

# day_5_with ENTRIES
day_5_with() {
	build_with day05-echo/echo.c RING_ENTRIES="$1" COMPLETION_ENTRIES="$1"
	start_server "$PROGRAM" 0
	launch_peers random --connections 50 --seconds 1
	peer stream --connections 100 --bytes "$(scaled 100000)"
	finish_peers
	(($1 > 1)) || start_peers absent --small --connections 30
	stop_clean
	was_tight 'completion queue overflowed'
}

# day_6_with ENTRIES
day_6_with() {
	build_with day06-deadlines/deadlines.c RING_ENTRIES="$1" COMPLETION_ENTRIES="$1"
	start_server "$PROGRAM" --idle 5000 0
	launch_peers random --connections 50 --seconds 1
	peer stream --connections 100 --bytes "$(scaled 100000)"
	finish_peers
	(($1 > 1)) || start_peers absent --small --connections 30
	stop_clean
	was_tight 'completion queue overflowed'
}

# day_7_with ENTRIES: two at least, because a connect and its limit have to be in one submit.
day_7_with() {
	build_with day07-proxy/proxy.c RING_ENTRIES="$1" COMPLETION_ENTRIES="$1"
	start_server ./day05/echo 0
	UPSTREAM_PORT=$PORT
	start_server proxy_to_upstream 0
	launch_peers random --connections 50 --seconds 1
	peer stream --connections 100 --bytes "$(scaled 100000)"
	finish_peers
	stop_clean
	was_tight 'completion queue overflowed'
}

# proxy_to_upstream [OPTION]... PORT
proxy_to_upstream() {
	exec "$PROGRAM" "$@" "127.0.0.1:$UPSTREAM_PORT"
}

@test "rings of one and two entries (two and four on day 7) and the smallest completion queues: day 4 acknowledges every chunk; days 5, 6 and 7: the streams are equal" {
	at_once "day_4_with 1" "day_5_with 1" "day_6_with 1" "day_4_with 2" "day_7_with 2" "day_5_with 2" "day_6_with 2" \
		"day_7_with 4"
}

day_6_at_its_smallest() {
	build_with day06-deadlines/deadlines.c RING_ENTRIES=1 COMPLETION_ENTRIES=1 PAUSE_BUFFERS=1 OWN_BYTES=1
	start_server "$PROGRAM" --buffers 1 --buffer-size 100 0
	peer stream --connections 20 --bytes "$(scaled 20000)"
	peer random --connections 20 --seconds 1 --bytes 100000
	# At the end of the program completions come one by one, too.
	launch_peers stream --cut-short --connections 20 --bytes 1000000000
	wait_until are_connected 20
	stop_within TERM "$(within 2500)"
	finish_peers
	[ ! -s "$LOG.err" ]
	was_tight 'completion queue overflowed' 'buffer ring empty' pauses
}

day_7_at_its_smallest() {
	build_with day07-proxy/proxy.c RING_ENTRIES=2 COMPLETION_ENTRIES=2 PAUSE_BUFFERS=1 OWN_BYTES=1
	start_server ./day05/echo 0
	UPSTREAM_PORT=$PORT
	start_server proxy_to_upstream --buffers 1 --buffer-size 100 0
	peer stream --connections 20 --bytes "$(scaled 20000)"
	peer random --connections 20 --seconds 1 --bytes 100000
	launch_peers stream --cut-short --connections 20 --bytes 1000000000
	wait_until are_connected 20
	stop_within TERM "$(within 2500)"
	finish_peers
	was_tight 'completion queue overflowed' 'buffer ring empty' pauses

	start_server ./build/tests/upstream --full 0
	UPSTREAM_PORT=$PORT
	start_server proxy_to_upstream --connect-time 200 0
	run ./build/tests/upstream --client --connections 20 --then hold "$PORT"
	[ "$(grep -c 'sent 0, received 0, then reset' <<<"$output")" = 20 ]
	stop_clean
}

@test "days 6 and 7 with every bound at its smallest: the streams are equal, and a connect has its limit" {
	at_once day_6_at_its_smallest day_7_at_its_smallest
}

# One by one: all seats are taken, and others wait.
crossed_by_few() {
	local round seated

	start_server "$PROGRAM" --connections 100 0
	for round in 1 2 3; do
		start_peers ping --connections 100 --count 1 --hold
		seated=$PEERS
		launch_peers ping --connections 20 --count 1
		wait_until are_connected 120
		release_peers "$seated"
		finish_peers
	done
	stop_clean
}

# crossed_by_many SLOTS: all at once, with a table that one pass more would overflow by few or by many. They stay.
crossed_by_many() {
	start_server "$PROGRAM" --connections "$1" 0
	pause_server
	launch_peers absent --small --cut-short --connections 200
	wait_until are_connected 200
	kill -CONT "$PID"
	wait_until are_ready
	end_peers
	stop_clean
}

# The multishot accept stays in flight only while more slots are free than the completion queue has entries. Each round
# fills the table and empties it, so it is cancelled and armed again each time.
@test "day 6: the bound of the multishot accept is crossed again and again, and nobody is turned away" {
	build_with day06-deadlines/deadlines.c RING_ENTRIES=16 COMPLETION_ENTRIES=32
	at_once crossed_by_few "crossed_by_many "{40,50,60,70,80}
}

# day_8_with ENTRIES
day_8_with() {
	local root=$BATS_TEST_TMPDIR/root.$1

	mkdir "$root"
	head -c 5000 /dev/urandom >"$root/file.bin"
	# A piece that its header nearly fills.
	CFLAGS="${CFLAGS:--O1 -g} -DHTTP_PIECE_BYTES=1100" REBUILT=http_exchange \
		build_with day08-web/web.c RING_ENTRIES="$1" COMPLETION_ENTRIES="$1" BUFFERS="$1"
	start_server "$PROGRAM" 0 "$root"
	printf 'GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n' >"$root/get"
	build/tests/browser crowd "$PORT" 50 <"$root/get" >"$root/crowd" 3>&- &
	SERVERS+=("$!")
	build/tests/browser pipeline "$PORT" "$(scaled 500)" <"$root/get"
	wait_until grep -q ready "$root/crowd"
	curl -sS "http://127.0.0.1:$PORT/file.bin" | cmp - "$root/file.bin"
	kill "${SERVERS[-1]}"
	stop_clean
	was_tight 'completion queue overflowed'
}

@test "day 8 with rings of one and two entries, buffers and the smallest completion queues: the files are equal" {
	command -v curl >/dev/null || skip "needs curl"
	two_at_a_time day_8_with 1 2
}
