# What the checks share. ./exercise runs `check PROGRAM` with an empty directory in $SCRATCH, prints what
# the check says where it fails, and ends whatever it has started.
# shellcheck disable=SC2034 # what is set here is used by the checks

export LC_ALL=C
PROGRAM=$1
PEER=./build/tests/peer
OUT=$SCRATCH/out
ERR=$SCRATCH/err
SERVER=''
TRACE=$SCRATCH/trace
RUN_SECONDS=5

# The sanitizers' leak check needs ptrace(2) for itself, which strace has taken.
export ASAN_OPTIONS=detect_leaks=0

# missing SENTENCE: what the reader still has to do. Ends the check.
missing() {
	local sentence=$1 status=0

	if [ -n "$SERVER" ] && ! kill -0 "$SERVER" 2>/dev/null; then
		wait "$SERVER" 2>/dev/null || status=$?
		((status == 127)) || sentence+=$'\n'"And your server is gone: $(ending "$status")."
	fi
	echo "$sentence"
	if [ -s "$ERR" ]; then
		echo "It said on standard error:"
		tail -n 15 "$ERR"
	fi
	exit 1
}

# ending STATUS: how a program has ended, in words.
ending() {
	local name

	if (($1 <= 128)); then
		echo "it ended with status $1"
		return
	fi
	name=SIG$(kill -l "$1")
	case $name in
	SIGSEGV | SIGABRT | SIGBUS | SIGFPE | SIGILL) echo "it crashed with $name (SANITIZE=1 ./exercise check may say where)" ;;
	*) echo "$name ended it" ;;
	esac
}

UNDER=() # what a program is run under
TO=()    # where a proxy connects to

# with_fault FAULT: from here on something in their use of the ring goes wrong, see tests/inject.c.
with_fault() {
	UNDER=(env INJECT="$1" LD_PRELOAD=./build/tests/inject.so ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0")
}

# traced: from here on what passes through their ring is in $TRACE at their end.
traced() {
	UNDER=(./ringtrace -o "$TRACE")
}

# undisturbed: neither of the two any more.
undisturbed() {
	UNDER=()
}

# traced_lines PATTERN: how many lines of it match.
traced_lines() {
	grep -Ec -- "$1" "$TRACE"
}

need() {
	command -v "$1" >/dev/null || missing "the check itself needs $1: apt-get install $1"
}

# run_to_end [COMMAND...] PROGRAM [ARG]...: leaves what it prints in $OUT and $ERR, and its status in STATUS;
# the check ends where it crashes or does not end.
run_to_end() {
	STATUS=0
	{ timeout --foreground --signal=KILL "$RUN_SECONDS" "$@" >"$OUT" 2>"$ERR"; } 2>/dev/null || STATUS=$?
	((STATUS != 124 && STATUS != 137)) ||
		missing "your program did not end within $RUN_SECONDS s: what does it wait for?"
	((STATUS < 126)) || missing "your program did not come to its end: $(ending "$STATUS")."
}

# count_enters ARG...: runs the program to its end; leaves in ENTERS how often it called io_uring_enter.
count_enters() {
	need strace
	run_to_end strace -f -qq -e trace=io_uring_enter -o "$SCRATCH/strace" "$PROGRAM" "$@"
	ENTERS=$(grep -c 'io_uring_enter(' "$SCRATCH/strace")
}

# serve ARG...: starts the program as a server on a free port. Sets SERVER, its process, and PORT.
serve() {
	: >"$OUT"
	"${UNDER[@]}" "$PROGRAM" "$@" 0 "${TO[@]}" >"$OUT" 2>"$ERR" &
	SERVER=$!
	wait_until listens || missing "your program does not say 'listening on ADDRESS:PORT' within 5 s."
	PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$OUT")
}

listens() {
	grep -q '^listening on ' "$OUT" || ! kill -0 "$SERVER" 2>/dev/null
}

# wait_until COMMAND...: tries it until it succeeds; fails after 5 s, or when the server is gone and it still does not.
wait_until() {
	local try

	for ((try = 0; try < 250; try++)); do
		! "$@" || return 0
		if ! kill -0 "$SERVER" 2>/dev/null; then
			"$@"
			return
		fi
		sleep 0.02
	done
	return 1
}

# signal NAME: to the server.
signal() {
	kill -s "$1" "$SERVER" 2>/dev/null
}

# pause_server: what peers do from here on waits for the server, until it gets a CONT.
pause_server() {
	signal STOP
	wait_until is_stopped
}

is_stopped() {
	grep -q '^State:[[:space:]]*T' "/proc/$SERVER/status" 2>/dev/null
}

# cpu_ms: how long the server has used the processor so far.
cpu_ms() {
	awk '{ print 10 * ($14 + $15) }' "/proc/$SERVER/stat" 2>/dev/null || echo 0
}

# stop_server: ends it with SIGTERM and leaves its status in STATUS.
stop_server() {
	signal TERM
	await_end
}

# await_end: of a server that has got its SIGTERM.
await_end() {
	wait_until has_ended || missing "your server did not end within 5 s of SIGTERM."
	STATUS=0
	wait "$SERVER" || STATUS=$?
	SERVER='' # what the check says from here on, it doesn't say because the server is gone
}

has_ended() {
	! kill -0 "$SERVER" 2>/dev/null
}

# has_lines PATTERN COUNT: so many lines of what the program has printed match.
has_lines() {
	(($(grep -Ec -- "$1" "$OUT") == $2))
}

# connect: a peer. Sets FD, its connection.
connect() {
	{ exec {FD}<>"/dev/tcp/127.0.0.1/$PORT"; } 2>/dev/null || missing "your server does not accept connections any more."
}

# hear FD [SECONDS]: sets LINE, what the server says next; fails where there is no line within 3 s.
hear() {
	LINE=''
	IFS= read -r -t "${2:-3}" -u "$1" LINE 2>/dev/null
}

# hears FD LINE: what the server says next is that line.
hears() {
	hear "$1" && [ "$LINE" = "$2" ]
}

# hang_up FD: the peer closes its connection.
hang_up() {
	local fd=$1

	exec {fd}>&-
}

# is_silent FD: the server neither says anything nor ends the connection, for a fifth of a second.
is_silent() {
	local status=0

	IFS= read -r -t 0.2 -u "$1" LINE 2>/dev/null || status=$?
	((status > 128)) && [ -z "$LINE" ]
}

# say FD TEXT: to the server, exactly.
say() {
	printf '%s' "$2" >&"$1"
}

# is_ended FD: the server says no more, and ends the connection in order within 3 s.
is_ended() {
	[ -z "$(timeout --foreground 3 cat <&"$1" 2>/dev/null || echo "it is not")" ]
}

# start_upstream [OPTION]...: a server of tests/upstream.c, for a proxy; sets UPSTREAM, its process, and UPSTREAM_PORT.
start_upstream() {
	start_upstream_at 0 "$@"
}

# start_upstream_at PORT [OPTION]...
start_upstream_at() {
	: >"$SCRATCH/upstream"
	./build/tests/upstream "${@:2}" "$1" >"$SCRATCH/upstream" 2>&1 &
	UPSTREAM=$!
	disown "$UPSTREAM" # bash would say that it was killed
	until grep -q '^listening' "$SCRATCH/upstream" || ! kill -0 "$UPSTREAM" 2>/dev/null; do
		sleep 0.02
	done
	UPSTREAM_PORT=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$SCRATCH/upstream")
	mv "$SCRATCH/upstream" "$SCRATCH/upstream.$UPSTREAM"
}

# end_upstream: nobody listens on its port any more.
end_upstream() {
	kill -KILL "$UPSTREAM"
	while kill -0 "$UPSTREAM" 2>/dev/null; do
		sleep 0.02
	done
}

# serve_to [OPTION]... HOST:PORT...: starts the program as a proxy on a free port, like serve.
serve_to() {
	local options=()

	while [[ $1 == --* ]]; do
		options+=("$1" "$2")
		shift 2
	done
	TO=("$@")
	serve "${options[@]}"
}

serve_to_upstream() {
	serve_to "$@" "127.0.0.1:$UPSTREAM_PORT"
}
