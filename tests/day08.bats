#!/usr/bin/env bats
# Day 8: what is true of the web server whatever its clients ask for and however they do it, and whatever
# becomes of its files meanwhile. tests/browser.c has the clients that curl can't be.

load helpers
load peers

# tests/day09-web.bats is this file, too, under another name: all of it holds for day 9's server.
WEB=(./day08/web)
[[ $BATS_TEST_FILENAME != */day09* ]] || WEB=(./day09/cores --threads 3)

# What takes seconds and is the same in each thread: day 9 leaves it to day 8, unless all is asked for.
days_8s_alone() {
	[[ $BATS_TEST_FILENAME != */day09* || -n ${ALL_OF_DAY_8:-} ]] || skip "day 8 has it (ALL_OF_DAY_8=1: here, too)"
}

setup() {
	need curl curl
	ROOT=$BATS_TEST_TMPDIR/root
	mkdir "$ROOT" "$ROOT/dir"
	printf 'hello, web\n' >"$ROOT/hello.txt"
	printf '<p>index</p>\n' >"$ROOT/index.html"
	printf '<p>inner</p>\n' >"$ROOT/dir/index.html"
	echo secret >"$BATS_TEST_TMPDIR/outside"
	ENDED=$BATS_TEST_TMPDIR/ended
}

teardown() {
	end_servers
	! mountpoint -q "$ROOT/slow" || umount -l "$ROOT/slow"
}

web() {
	start_server "${WEB[@]}" "$@" 0 "$ROOT"
	URL=http://127.0.0.1:$PORT
}

# ask [BROWSER ARGUMENT...]: what standard input has goes to the server as it is; the reply is in `output`,
# and how it ended in `ended`.
browser() {
	local kind=$1

	shift
	build/tests/browser "$kind" "$PORT" "$@" 2>"$ENDED"
}

ended() {
	sed -n 's/^end: //p' "$ENDED"
}

# sends TEXT: printf(1)'s, answered until the end: leaves the reply in `reply`.
sends() {
	# shellcheck disable=SC2059 # it is a format
	reply=$(printf "$1" | browser raw | tr -d '\r')
}

# refuses STATUS TEXT: the only reply has this status, says that the connection ends, and it does.
refused() {
	sends "$2"
	echo "'$2' gives: $reply; $(ended)"
	[[ $reply == "HTTP/1.1 $1 "* ]]
	[[ $reply == *$'\nConnection: close\n'* ]]
	[[ $(grep -c '^HTTP/1.1' <<<"$reply") = 1 ]]
	[[ $(ended) == EOF* ]]
}

fetch() {
	curl -sS --path-as-is --max-time 20 "$@"
}

status_of() {
	fetch -o /dev/null -w '%{http_code}' "$@"
}

# Descriptors that are open besides those of a server that nobody talks to.
has_closed_all() {
	(($(descriptors_of "$PID") == $1))
}

@test "common/http: known requests, and 150,000 random ones, under both sanitizers" {
	local flags=(-std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=undefined)

	days_8s_alone
	"${CC:-cc}" "${flags[@]}" -I. tests/http.c common/http.c common/http_exchange.c -o "$BATS_TEST_TMPDIR/http"
	"$BATS_TEST_TMPDIR/http" cases
	echo "seed: $SRANDOM"
	"$BATS_TEST_TMPDIR/http" fuzz "$SRANDOM" 150000
}

@test "day 8: files of every size come back byte for byte, by GET; HEAD has their header" {
	local size sizes=(0 1 1000 65535 65536 65537 69000 69632 69633 139264 1000000)

	web
	for size in "${sizes[@]}"; do
		head -c "$size" /dev/urandom >"$ROOT/$size.bin"
	done
	for size in "${sizes[@]}"; do
		fetch "$URL/$size.bin" | cmp - "$ROOT/$size.bin"
		fetch -I "$URL/$size.bin" | tr -d '\r' | grep -x "Content-Length: $size"
	done
	stop_clean
}

@test "day 8: types by suffix, the index of a directory, a directory without its slash" {
	web
	[ "$(fetch "$URL/")" = '<p>index</p>' ]
	[ "$(fetch "$URL/dir/")" = '<p>inner</p>' ]
	[ "$(fetch "$URL/dir/../dir/index.html?a=b")" = '<p>inner</p>' ]
	fetch -I "$URL/" | tr -d '\r' | grep -x 'Content-Type: text/html; charset=utf-8'
	fetch -I "$URL/hello.txt" | tr -d '\r' | grep -x 'Content-Type: text/plain; charset=utf-8'
	fetch -I "$URL/dir?a=/b/" | tr -d '\r' >"$BATS_TEST_TMPDIR/moved"
	grep -x 'HTTP/1.1 301 Moved Permanently' "$BATS_TEST_TMPDIR/moved"
	grep -x 'Location: /dir/?a=/b/' "$BATS_TEST_TMPDIR/moved"
	mkdir "$ROOT/example.org"
	fetch -I "$URL//example.org" | tr -d '\r' | grep -x 'Location: /example.org/' # no other host
	mkdir "$ROOT/dir/deep" "$ROOT/dir/deep/index.html"
	[ "$(status_of "$URL/dir/deep/")" = 404 ] # rather than going round in circles
	stop_clean
}

@test "day 8: a whole request at once, or cut at every byte" {
	web
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' | browser splits
	printf 'HEAD /dir/../hello.txt?b HTTP/1.0\r\nRange: bytes=1-\r\n\r\n' | browser splits
	printf 'GET /dir HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' | browser splits
	printf '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nBREW / HTTP/1.1\r\n\r\n' | browser splits
	stop_clean
}

@test "day 8: pipelines of thousands, from a client that sends ahead" {
	web
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' | browser pipeline "$(scaled 20000)"
	head -c 200000 /dev/urandom >"$ROOT/large.bin"
	printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n' | browser pipeline "$(scaled 500)"
	printf 'GET /none HTTP/1.1\r\nHost: a\r\nX: %01000d\r\n\r\n' 0 | browser pipeline "$(scaled 2000)"
	stop_clean
}

@test "day 8: keep-alive of HTTP/1.1 and 1.0, and Connection: close" {
	web
	[ "$(fetch -o /dev/null -o /dev/null -w '%{num_connects}\n' "$URL/hello.txt" "$URL/")" = $'1\n0' ]
	[ "$(fetch -0 -H 'Connection: keep-alive' -o /dev/null -o /dev/null -w '%{num_connects}\n' "$URL/" "$URL/")" = $'1\n0' ]
	sends 'GET /hello.txt HTTP/1.0\r\n\r\n'
	[[ $reply == *'Connection: close'*'hello, web' && $(ended) == EOF* ]]
	sends 'GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'
	[[ $reply == *'hello, web' && $(ended) == EOF* ]] # what follows the last one isn't answered
	stop_clean
}

@test "day 8: what can be understood in two ways is refused, and ends the connection" {
	local get='GET / HTTP/1.1\r\nHost: a\r\n'

	web
	refused 400 'GET / HTTP/1.1\n\n'
	refused 400 "$get"'\n'
	refused 400 "$get"' folded: x\r\n\r\n'
	refused 400 "$get"'X : y\r\n\r\n'
	refused 400 "$get"'X: \001\r\n\r\n'
	refused 400 "$get"'X: \000\r\n\r\n'
	refused 400 "$get"'Host: b\r\n\r\n'
	refused 400 'GET / HTTP/1.1\r\n\r\n'
	refused 400 "$get"'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'"$get"'\r\n'
	refused 400 "$get"'Content-Length: 0\r\nContent-Length: 0\r\n\r\n'
	refused 400 "$get"'Content-Length: 1, 1\r\n\r\n'
	refused 413 "$get"'Content-Length: 44\r\n\r\n'"$get"'\r\n'
	refused 405 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n'"$get"'\r\n'
	[[ $reply == *$'\nAllow: GET, HEAD\n'* ]]
	refused 501 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n'
	refused 505 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'
	refused 400 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n'
	refused 400 '\026\003\001\002\000\001\000\001' # TLS
	stop_clean
}

@test "day 8: the reply to a body that nobody wants isn't lost to a reset" {
	local i

	web
	{
		printf 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n'
		head -c 900000 /dev/zero
	} >"$BATS_TEST_TMPDIR/post"
	for ((i = 0; i < 20; i++)); do
		browser raw <"$BATS_TEST_TMPDIR/post" | grep 'HTTP/1.1 405 Method Not Allowed'
		[[ $(ended) == EOF* ]]
		head -c 900000 /dev/zero | fetch -o /dev/null -w '%{http_code}\n' -H 'Expect:' -X POST --data-binary @- \
			"$URL/" | grep -x 405
	done
	stop_clean
}

@test "day 8: limits to the byte: 8,192 bytes of a request are answered, 8,193 are not" {
	local field=$'\r\n\r\n' start='GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: %0*d\r\n\r\n' bare

	# shellcheck disable=SC2059 # it is a format
	bare=$(printf "$start" 1 0 | wc -c)
	web
	# shellcheck disable=SC2059
	printf "$start" $((8192 - bare + 1)) 0 | browser raw | grep 'HTTP/1.1 200 OK'
	# shellcheck disable=SC2059
	printf "$start" $((8193 - bare + 1)) 0 | browser raw | grep 'HTTP/1.1 431 Request Header'
	printf 'GET /%08190d HTTP/1.1\r\nHost: a\r\n\r\n' 0 | browser raw | grep 'HTTP/1.1 414 URI Too Long'
	[ "$(status_of "$URL/$(printf '%0300d' 0)")" = 404 ] # a name longer than names are
	stop_clean
	: "$field"
}

@test "day 8: ranges, and what hasn't changed" {
	local tag

	web
	tag=$(fetch -I "$URL/hello.txt" | tr -d '\r' | sed -n 's/^ETag: //p')
	[ "$(fetch -r 0-4 "$URL/hello.txt")" = hello ]
	[ "$(fetch -r -4 "$URL/hello.txt")" = web ]
	fetch -i -r 7- "$URL/hello.txt" | tr -d '\r' >"$BATS_TEST_TMPDIR/part"
	grep -x 'HTTP/1.1 206 Partial Content' "$BATS_TEST_TMPDIR/part"
	grep -x 'Content-Range: bytes 7-10/11' "$BATS_TEST_TMPDIR/part"
	grep -x 'Content-Length: 4' "$BATS_TEST_TMPDIR/part"
	fetch -i -r 11- "$URL/hello.txt" | tr -d '\r' >"$BATS_TEST_TMPDIR/none"
	grep -x 'HTTP/1.1 416 Range Not Satisfiable' "$BATS_TEST_TMPDIR/none"
	grep -x 'Content-Range: bytes \*/11' "$BATS_TEST_TMPDIR/none"
	[ "$(status_of -r 0-1,3-4 "$URL/hello.txt")" = 200 ]
	[ "$(status_of -I -r 0-1 "$URL/hello.txt")" = 200 ]
	[ "$(status_of -H "If-None-Match: \"x\", W/$tag" "$URL/hello.txt")" = 304 ]
	[ "$(status_of -H 'If-None-Match: "x"' "$URL/hello.txt")" = 200 ]
	[ "$(status_of -r 0-1 -H "If-Range: $tag" "$URL/hello.txt")" = 206 ]
	[ "$(status_of -r 0-1 -H 'If-Range: "x"' "$URL/hello.txt")" = 200 ]
	echo more >>"$ROOT/hello.txt"
	[ "$(status_of -H "If-None-Match: $tag" "$URL/hello.txt")" = 200 ]
	head -c 300000 /dev/urandom >"$ROOT/large.bin"
	fetch -r 65000-200000 "$URL/large.bin" | cmp - <(tail -c +65001 "$ROOT/large.bin" | head -c 135001)
	stop_clean
}

@test "day 8: nothing outside of the directory, however it is called" {
	local name open

	web
	open=$(descriptors_of "$PID")
	ln -s ../outside "$ROOT/out"
	ln -s "$BATS_TEST_TMPDIR/outside" "$ROOT/absolute"
	ln -s / "$ROOT/slash"
	ln -s ../hello.txt "$ROOT/dir/in"
	ln -s loop "$ROOT/loop"
	for name in ../outside dir/../../outside %2e%2e/outside ..%2foutside %2e%2e%2foutside dir/..%2f../outside out \
		absolute slash/etc/passwd //etc/passwd %2f/etc/passwd loop hello.txt/ dir/../../root/../outside; do
		echo "$name"
		[ "$(status_of "$URL/$name")" = 404 ]
	done
	for name in 'a%00b' 'a%' 'a%2' 'a%zz'; do
		[ "$(status_of "$URL/$name")" = 400 ]
	done
	[ "$(status_of "$URL/%252e%252e/outside")" = 404 ] # decoded once
	[ "$(fetch "$URL/dir/in")" = 'hello, web' ]
	[ "$(fetch "$URL/dir/%2e%2E/hello.txt")" = 'hello, web' ]
	wait_until has_closed_all "$open"
	stop_clean
}

@test "day 8: directories that are moved about all the time: what's inside is found, nothing outside is" {
	local i urls=()

	web
	mkdir "$ROOT/a" "$ROOT/a/b"
	cp "$ROOT/hello.txt" "$ROOT/a/b/"
	while :; do
		mv "$ROOT/a/b" "$BATS_TEST_TMPDIR/b"
		mv "$BATS_TEST_TMPDIR/b" "$ROOT/a/b"
	done 3>&- 2>/dev/null &
	SERVERS+=("$!")
	for ((i = 0; i < 400; i++)); do
		urls+=("$URL/a/b/../../../outside" "$URL/a/b/../../hello.txt")
	done
	fetch "${urls[@]}" | sort -u >"$BATS_TEST_TMPDIR/seen"
	cat "$BATS_TEST_TMPDIR/seen"
	[ "$(grep -cvx -e '404 Not Found' -e 'hello, web' "$BATS_TEST_TMPDIR/seen")" = 0 ]
	stop_clean
}

@test "day 8: a FIFO, a device, a file that can't be read: 404, and nobody waits" {
	need setpriv util-linux
	mkfifo "$ROOT/fifo"
	mknod "$ROOT/null" c 1 3 2>/dev/null || ln -s /dev/null "$ROOT/null"
	echo private >"$ROOT/private"
	chmod 000 "$ROOT/private"
	# Root without the capabilities that open every file.
	start_server setpriv --bounding-set -dac_override,-dac_read_search "${WEB[@]}" 0 "$ROOT"
	URL=http://127.0.0.1:$PORT
	for name in fifo null private; do
		[ "$(status_of "$URL/$name")" = 404 ]
	done
	stop_clean
	# A name that isn't in the kernel's cache is opened by a worker thread.
	start_server with_fault OPENAT2:single:0 ./day08/web 0 "$ROOT"
	[ "$(status_of "http://127.0.0.1:$PORT/fifo")" = 404 ]
	has_happened
	stop_clean
}

is_mounted_or_not() {
	has_lines "$BATS_TEST_TMPDIR/disk" ready 1 || has_ended "$DISK"
}

@test "day 8: a file on a slow disk: the others are answered at once" {
	local i begin longest=0 took

	days_8s_alone
	[ "$(id -u)" = 0 ] && [ -c /dev/fuse ] || skip "needs root and /dev/fuse"
	mkdir "$ROOT/slow"
	build/tests/slow-disk 500 262144 "$ROOT/slow" >"$BATS_TEST_TMPDIR/disk" 3>&- &
	DISK=$!
	SERVERS+=("$DISK")
	wait_until is_mounted_or_not
	has_lines "$BATS_TEST_TMPDIR/disk" ready 1 || skip "nothing can be mounted here"
	web --idle 300 # of which the disk takes several
	fetch "$URL/slow/file.bin" -o "$BATS_TEST_TMPDIR/got" 3>&- &
	SERVERS+=("$!")
	sleep 0.2 # so that it is at its first read
	for ((i = 0; i < 10; i++)); do
		begin=$(now_ms)
		[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
		took=$(($(now_ms) - begin))
		longest=$((took > longest ? took : longest))
	done
	echo "the longest of 10 took $longest ms"
	kill -0 "${SERVERS[-1]}" # the file is still being read
	wait "${SERVERS[-1]}"
	[ "$(wc -c <"$BATS_TEST_TMPDIR/got")" = 262144 ]
	kill -TERM "$DISK"
	stop_clean
	grep -q ' timed out: 0$' "$LOG" # the client is not to blame
}

# half_way [CONNECTION]: while a client reads nothing, most of a file of 30 MB has not been read yet.
half_way() {
	head -c 30000000 /dev/urandom >"$ROOT/large.bin"
	printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: %s\r\n\r\n' "${1:-close}" >"$BATS_TEST_TMPDIR/get"
	exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
	cat "$BATS_TEST_TMPDIR/get" >&"$FD"
	wait_until is_sending
}

is_sending() {
	(($(ss -Htn state established "sport = :$PORT" | awk '{ sum += $2 } END { print sum + 0 }') > 100000))
}

@test "day 8: a file that is truncated while it is sent: the connection ends early" {
	web
	half_way keep-alive
	truncate -s 1000000 "$ROOT/large.bin"
	timeout 20 cat <&"$FD" >"$BATS_TEST_TMPDIR/got" # it does end
	(($(wc -c <"$BATS_TEST_TMPDIR/got") < 29000000))
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
}

@test "day 8: a file that grows, or is replaced, while it is sent: the old length, the old bytes" {
	local sum

	web
	half_way
	sum=$(md5sum <"$ROOT/large.bin")
	echo more >>"$ROOT/large.bin"
	echo other >"$ROOT/new"
	mv "$ROOT/new" "$ROOT/large.bin"
	cat <&"$FD" >"$BATS_TEST_TMPDIR/got"
	[ "$(tail -c 30000000 "$BATS_TEST_TMPDIR/got" | md5sum)" = "$sum" ]
	[ "$(head -n 20 "$BATS_TEST_TMPDIR/got" | tr -d '\r' | grep -a '^Content-Length: ')" = 'Content-Length: 30000000' ]
	[ "$(fetch "$URL/large.bin")" = other ]
	stop_clean
}

# faulty FAULT: a server in which that happens once; then what is asked for as if nothing had.
faulty() {
	start_server with_fault "$1" ./day08/web 0 "$ROOT"
	URL=http://127.0.0.1:$PORT
}

# after_fault STATUS FAULT: the first request gets that, and the next ones their file.
after_fault() {
	faulty "$2"
	[ "$(status_of "$URL/hello.txt")" = "$1" ]
	has_happened
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
}

@test "day 8: opens, reads, sends and receives that fail, for a moment or for good" {
	is_recent || skip "needs Linux 6.10, whose NOP fails as it is told"
	after_fault 200 OPENAT2:EAGAIN:1
	after_fault 503 OPENAT2:EMFILE:1
	after_fault 500 OPENAT2:EIO:1
	after_fault 200 READ:EINTR:2 # the first is that of the signals
	after_fault 200 READ:short:2
	after_fault 200 SEND:EAGAIN:1
	after_fault 200 SEND:short:0
	after_fault 200 RECV:EINTR:1
	after_fault 200 RECV:ENOBUFS:1
	faulty READ:EIO:2 # the length has been promised: all that is left is to end the connection early
	run fetch "$URL/hello.txt"
	[ "$status" = 18 ]
	has_happened
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
	faulty SEND:EPIPE:1
	run fetch "$URL/hello.txt"
	[ "$status" = 52 ]
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
}

@test "day 8: an open that fails for the moment, again and again: 503, and no endless loop" {
	is_recent || skip "needs Linux 6.10, whose NOP fails as it is told"
	faulty OPENAT2:EAGAIN:0
	[ "$(fetch -o "$BATS_TEST_TMPDIR/got" -w '%{http_code}' "$URL/hello.txt")" = 503 ]
	has_happened
	stop_clean
}

comes_a_byte_at_a_time() {
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: %0200d' 0 |
		timeout 15 build/tests/browser bytes "$PORT" 20 2>"$ENDED"
}

says_nothing() {
	: | browser raw
}

says_nothing_more() {
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' | browser raw | grep 'hello, web'
}

# gets_eof CLIENT
gets_eof() {
	ENDED=$BATS_TEST_TMPDIR/ended.$1
	"$1"
	[[ $(ended) == EOF* ]]
}

@test "day 8: a request that comes a byte at a time, and a client that says nothing, have a limit" {
	days_8s_alone
	web --idle 1500
	side_by_side 3 gets_eof comes_a_byte_at_a_time says_nothing says_nothing_more
	stop_clean
	grep 'timed out: [3-9]' "$LOG"
}

# is_cut_off KIND [ARGUMENT...]: a client that has asked for a large file.
is_cut_off() {
	local open

	web --idle 500
	open=$(descriptors_of "$PID")
	printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n' | browser "$@" 3>&- &
	SERVERS+=("$!")
	wait_until is_sending
	wait_until has_closed_all "$open"
	stop_clean
	grep 'timed out: [1-9]' "$LOG"
}

reads_slowly_enough() {
	web --idle 500
	fetch --limit-rate 10M "$URL/large.bin" | cmp - "$ROOT/large.bin" # for four times the limit
	stop_clean
}

@test "day 8: a client that reads slowly or never is cut off; one that reads slowly enough is not" {
	head -c 20000000 /dev/urandom >"$ROOT/large.bin"
	at_once "is_cut_off sip 0 50" "is_cut_off sip 1 5" reads_slowly_enough
}

@test "day 8: clients that run away leave nothing behind" {
	local open

	head -c 3000000 /dev/urandom >"$ROOT/large.bin"
	web
	open=$(descriptors_of "$PID")
	printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n' | browser aborts "$(scaled 3000)"
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' | browser aborts "$(scaled 3000)"
	wait_until has_closed_all "$open"
	[ "$(fetch "$URL/hello.txt")" = 'hello, web' ]
	stop_clean
}

@test "day 8: 9,000 idle connections: at most 64 bytes each before the first request, 256 after it" {
	local before between after

	days_8s_alone
	sanitized && skip "the sanitizers' own memory is not bounded"
	need_descriptors 20000
	web
	fetch "$URL/hello.txt" # what's mapped at the start has been touched
	before=$(rss_kib)
	build/tests/browser crowd "$PORT" 9000 </dev/null >"$BATS_TEST_TMPDIR/silent" 3>&- &
	SERVERS+=("$!")
	wait_until grep -q ready "$BATS_TEST_TMPDIR/silent"
	between=$(rss_kib)
	kill "${SERVERS[-1]}"
	wait "${SERVERS[-1]}" || true
	printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' |
		build/tests/browser crowd "$PORT" 9000 >"$BATS_TEST_TMPDIR/asked" 3>&- &
	SERVERS+=("$!")
	wait_until grep -q ready "$BATS_TEST_TMPDIR/asked"
	after=$(rss_kib)
	echo "bytes a connection: $(((between - before) * 1024 / 9000)), $(((after - before) * 1024 / 9000))"
	(((between - before) * 1024 / 9000 <= 64))
	(((after - before) * 1024 / 9000 <= 256))
	stop_within TERM 4000
}

@test "day 8: SIGTERM while a reply is sent: it is sent to its end, and says so to who is waiting" {
	local waiting

	web
	exec {waiting}<>"/dev/tcp/127.0.0.1/$PORT"
	half_way
	kill -TERM "$PID"
	wait_until is_closed
	[ -z "$(cat <&"$waiting")" ] # an idle one gets its EOF
	exec {waiting}>&-
	cat <&"$FD" >"$BATS_TEST_TMPDIR/got"
	exec {FD}>&-
	tail -c 30000000 "$BATS_TEST_TMPDIR/got" | cmp - "$ROOT/large.bin"
	wait_for_end
	[ "$status" = 0 ]
}

@test "day 8: SIGTERM while a pipeline waits: the next reply says Connection: close" {
	web
	head -c 30000000 /dev/urandom >"$ROOT/large.bin"
	exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"
	printf '%s\r\nHost: a\r\n\r\n' 'GET /large.bin HTTP/1.1' 'GET / HTTP/1.1' 'GET / HTTP/1.1' >"$BATS_TEST_TMPDIR/three"
	cat "$BATS_TEST_TMPDIR/three" >&"$FD" # with one send
	wait_until is_sending
	kill -TERM "$PID"
	wait_until is_closed
	cat <&"$FD" >"$BATS_TEST_TMPDIR/got"
	exec {FD}>&-
	[ "$(grep -ao 'HTTP/1.1 200 OK' "$BATS_TEST_TMPDIR/got" | wc -l)" = 2 ]
	[ "$(grep -ao 'Connection: close' "$BATS_TEST_TMPDIR/got" | wc -l)" = 1 ]
	wait_for_end
	[ "$status" = 0 ]
}

@test "day 8: --log has a line for each reply" {
	local when='\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} \+0000\]'

	web --log
	fetch "$URL/hello.txt?a" -o /dev/null
	fetch -I "$URL/hello.txt" -o /dev/null
	fetch "$URL/none" -o /dev/null
	sends 'nonsense\r\n\r\n'
	wait_until has_lines "$LOG" '^- - - ' 4
	grep -E "^- - - $when \"GET /hello.txt\?a HTTP/1.1\" 200 11$" "$LOG"
	grep -E "^- - - $when \"HEAD /hello.txt HTTP/1.1\" 200 0$" "$LOG"
	grep -E "^- - - $when \"GET /none HTTP/1.1\" 404 14$" "$LOG"
	grep -E "^- - - $when \"-\" 400 16$" "$LOG"
	stop_clean
}

@test "day 8: no growth over many requests" {
	local before after

	days_8s_alone
	sanitized && skip "the sanitizers' own memory is not bounded"
	need wrk wrk
	head -c 200000 /dev/urandom >"$ROOT/large.bin"
	web
	wrk -t1 -c50 -d1s "$URL/large.bin" >/dev/null
	wrk -t1 -c50 -d1s "$URL/hello.txt" >/dev/null
	before=$(rss_kib)
	wrk -t1 -c50 -d3s "$URL/hello.txt"
	after=$(rss_kib)
	echo "before: $before KiB, after: $after KiB"
	((after <= before + 64))
	stop_clean
}

@test "day 8: wget, ab and wrk get what they ask for" {
	web
	! command -v wget >/dev/null || wget -qO- "$URL/hello.txt" | grep -x 'hello, web'
	! command -v ab >/dev/null || ab -q -k -c 10 -n 2000 "$URL/hello.txt" | grep 'Failed requests: *0$'
	! command -v wrk >/dev/null || ! wrk -t1 -c20 -d1s "$URL/hello.txt" | grep -E 'Non-2xx|Socket errors'
	stop_clean
}

@test "day 8: bad usage" {
	refuses "${WEB[@]}" 1 2 3
	refuses "${WEB[@]}" --idle 0
	refuses "${WEB[@]}" x
	run --separate-stderr timeout 10 "${WEB[@]}" 0 /nonexistent
	[ "$status" = 1 ]
	[[ $stderr == *"/nonexistent"*"No such file or directory"* ]]
}
