#!/usr/bin/env bats
# Day 2: registered-files copies files to standard output, and never has a file descriptor for them.

load helpers

MIB=1048576

setup_file() {
	# Every test reads these; the file's temporary directory goes away with them.
	BIG=$BATS_FILE_TMPDIR/100mib
	head -c 100M /dev/urandom >"$BIG"
	export BIG
}

setup() {
	FILE=$BATS_TEST_TMPDIR/file
	CAT=./day02/registered-files
}

teardown() {
	[ -z "${LOOP:-}" ] || losetup --detach "$LOOP"
}

# random_file BYTES
random_file() {
	head -c "$1" "$BIG" >"$FILE"
}

@test "bytes are exact: empty, 1 byte, around the buffer's size, 1 MiB + 1" {
	for size in 0 1 131071 131072 131073 $((MIB + 1)); do
		random_file "$size"
		"$CAT" "$FILE" | cmp - "$FILE"
		"$CAT" "$FILE" >"$FILE.out"
		cmp "$FILE" "$FILE.out"
	done
}

@test "bytes are exact: 100 MiB" {
	"$CAT" "$BIG" | cmp - "$BIG"
}

@test "several files come out one after the other, one of them twice" {
	random_file 200000
	"$CAT" LICENSE "$FILE" LICENSE >"$FILE.out"
	cat LICENSE "$FILE" LICENSE | cmp - "$FILE.out"
}

@test "without a FILE it says what it needs" {
	run --separate-stderr "$CAT"
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	[ "${stderr_lines[0]}" = "$CAT: no FILE (standard input is /dev/stdin)" ]
}

@test "standard output keeps the position it shares with other programs" {
	echo one >"$FILE"
	{
		echo before
		"$CAT" "$FILE" "$FILE"
		echo after
	} >"$FILE.out"
	[ "$(<"$FILE.out")" = "$(printf 'before\none\none\nafter')" ]
}

@test "appending does not overwrite" {
	echo first >"$FILE.out"
	"$CAT" LICENSE >>"$FILE.out"
	{ echo first && cat LICENSE; } | cmp - "$FILE.out"
}

@test "/dev/stdin, a named pipe and a descriptor's path are files like others" {
	random_file 300000
	"$CAT" /dev/stdin <"$FILE" | cmp - "$FILE"
	# shellcheck disable=SC2002 # the pipe is the point
	cat "$FILE" | "$CAT" /dev/stdin | cmp - "$FILE"
	"$CAT" LICENSE <(cat "$FILE") | cmp - <(cat LICENSE "$FILE")

	mkfifo "$FILE.pipe"
	cat "$FILE" >"$FILE.pipe" 3>&- &
	timeout 20 "$CAT" "$FILE.pipe" | cmp - "$FILE"
	wait "$!"
}

@test "/proc files, which say that their size is 0, come out whole" {
	local file
	for file in /proc/version /proc/filesystems /proc/kallsyms; do
		[ -r "$file" ] || continue
		[ "$(stat -c %s "$file")" -eq 0 ]
		"$CAT" "$file" | cmp - <(cat "$file")
	done
	[ -n "$("$CAT" /proc/version)" ]
}

@test "a reader that is slow and takes little at a time gets every byte" {
	random_file $((MIB + 1))
	"$CAT" "$FILE" | {
		dd bs=777 count=100 status=none
		cat
	} | cmp - "$FILE"
}

@test "a write that is cut short is continued where it ended" {
	random_file "$MIB"
	# 200 KiB is no multiple of the buffer: the write that reaches the limit is a short one, and
	# only the next one fails. What it does write has to be in its place.
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 200; "$1" "$2" >"$2.out"' bash "$CAT" "$FILE"
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: standard output: write: File too large" ]
	head -c 204800 "$FILE" | cmp - "$FILE.out"
}

@test "a disk that gets full halfway through a write is an error, also when the rest is small" {
	# The first buffer fits, of the second 12 KiB: what does not fit may not go anywhere else.
	random_file $((150 * 1024))
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 140; "$1" "$2" >"$2.out"' bash "$CAT" "$FILE"
	[ "$status" -eq 1 ]
	head -c $((140 * 1024)) "$FILE" | cmp - "$FILE.out"
}

@test "a read that meets a bad block halfway gives what was there, once, and an error" {
	# A block device larger than what is behind it. The beginning is in the page cache: a read gets
	# that far before it fails.
	[ "$(id -u)" -eq 0 ] || skip "needs root, for a loop device"
	random_file 262144
	LOOP=$(losetup --find --show "$FILE" 2>/dev/null) || skip "needs a loop device"
	truncate -s 81920 "$FILE"
	blockdev --flushbufs "$LOOP"
	blockdev --setra 0 "$LOOP"
	dd if="$LOOP" of=/dev/null bs=40960 count=1 status=none
	run --separate-stderr bash -c 'ulimit -f 1000; timeout 20 "$1" "$2" >"$3"' bash "$CAT" "$LOOP" "$FILE.out"
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: $LOOP: read: Input/output error" ]
	cmp "$FILE" "$FILE.out"
}

@test "a file that does not exist is reported, the rest is printed, the exit status is 1" {
	run --separate-stderr "$CAT" /nonexistent LICENSE /nonexistent/either LICENSE
	[ "$status" -eq 1 ]
	[ "$output" = "$(cat LICENSE LICENSE)" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[ "${stderr_lines[0]}" = "$CAT: /nonexistent: open: No such file or directory" ]
	[ "${stderr_lines[1]}" = "$CAT: /nonexistent/either: open: No such file or directory" ]
}

@test "a file without permission is reported, the rest is printed" {
	local as_user=()
	echo secret >"$FILE"
	chmod 0 "$FILE"
	if [ "$(id -u)" -eq 0 ]; then
		command -v setpriv >/dev/null || skip "needs setpriv (package util-linux), not to be root"
		as_user=(setpriv --reuid=65534 --clear-groups)
		chmod o+x "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR"
		"${as_user[@]}" "$PWD/$CAT" LICENSE >/dev/null || skip "another user cannot run programs in this directory"
	fi
	run --separate-stderr "${as_user[@]}" "$CAT" "$FILE" LICENSE
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: $FILE: open: Permission denied" ]
	[ "$output" = "$(<LICENSE)" ]
}

@test "a directory is reported, the rest is printed" {
	run --separate-stderr "$CAT" common LICENSE
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: common: read: Is a directory" ]
	[ "$output" = "$(<LICENSE)" ]
}

@test "a full disk is an error" {
	run --separate-stderr bash -c '"$1" LICENSE >/dev/full' bash "$CAT"
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: standard output: write: No space left on device" ]
}

@test "a closed pipe is an error, not silence" {
	run --separate-stderr bash -c '{ "$1" "$2"; echo "status $?" >&2; } | head -c 1 >/dev/null' bash "$CAT" "$BIG"
	[ "${stderr_lines[0]}" = "$CAT: standard output: write: Broken pipe" ]
	[ "${stderr_lines[1]}" = "status 1" ]
}

@test "a standard output that is closed is an error" {
	run --separate-stderr bash -c '"$1" LICENSE >&-' bash "$CAT"
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: standard output: io_uring_register_files_update: Bad file descriptor" ]
}

@test "a file whose name begins with a dash is a file after --" {
	cp LICENSE "$BATS_TEST_TMPDIR/--show"
	cd "$BATS_TEST_TMPDIR"
	run --separate-stderr "$OLDPWD/$CAT" -- --show
	[ "$status" -eq 0 ]
	[ "$output" = "$(<--show)" ]
}

@test "--show: an open file has a slot, and takes no descriptor from the process" {
	run --separate-stderr "$CAT" --show LICENSE Makefile
	[ "$status" -eq 0 ]
	[ "$output" = "$(cat LICENSE Makefile)" ]
	local next
	next=$(sed -nE '1s/^next descriptor: ([0-9]+);.*/\1/p' <<<"$stderr")
	((next >= 4)) # after standard input, output and error, and the ring
	[ "$stderr" = "next descriptor: $next; slot 0: standard output; slot 42: empty
next descriptor: $next; slot 0: standard output; slot 42: LICENSE
next descriptor: $next; slot 0: standard output; slot 42: empty
next descriptor: $next; slot 0: standard output; slot 42: Makefile
next descriptor: $next; slot 0: standard output; slot 42: empty" ]
}

@test "without --show standard error is empty" {
	run --separate-stderr "$CAT" LICENSE
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
}

@test "no system call but the ring's opens, reads, writes or closes the files" {
	need_strace
	ASAN_OPTIONS=detect_leaks=0 strace -qq -o "$FILE.trace" \
		-e trace=open,openat,read,write,writev,sendfile,splice,copy_file_range,io_uring_enter "$CAT" LICENSE >"$FILE.out"
	cmp LICENSE "$FILE.out"
	[ "$(lines "$FILE.trace" '"LICENSE"')" -eq 0 ]
	[ "$(lines "$FILE.trace" '^(write|writev|sendfile|splice|copy_file_range)\(')" -eq 0 ]
	# Open, read, write, the read that finds the end, close: each names the ring by its registration.
	[ "$(lines "$FILE.trace" '^io_uring_enter\(0, 1, 1, .*IORING_ENTER_REGISTERED_RING')" -eq 5 ]
	[ "$(lines "$FILE.trace" '^io_uring_enter\(')" -eq 5 ]
}

@test "a path of which nothing can be found out once it is open is read where it is, and --show needs a descriptor" {
	need_strace
	run --separate-stderr injected newfstatat error=EACCES -P LICENSE "$CAT" LICENSE
	[ "$status" -eq 0 ]
	[ "$output" = "$(<LICENSE)" ]
	run --separate-stderr injected dup error=EMFILE "$CAT" --show LICENSE
	[ "$status" -eq 1 ]
	[ "$stderr" = "$CAT: dup: Too many open files" ]
}
