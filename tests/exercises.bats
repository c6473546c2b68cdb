#!/usr/bin/env bats
# The exercises: each unsolved one says what is missing, each solution passes; and ./exercise itself.
#
# All of it happens in a copy of the tree: my/ is the reader's.

load helpers

setup_file() {
	# What names_exist looks into.
	# shellcheck disable=SC2046 # several words
	echo '#include <liburing.h>' | "${CC:-cc}" -E -dD $(pkg-config --cflags "${LIBURING:-liburing}") - \
		>"$BATS_FILE_TMPDIR/liburing"
}

setup() {
	command -v patch >/dev/null || skip "needs patch (package patch)"
	make_tree tree
}

# make_tree NAME: a copy of what the exercises need, where the test goes on. Sets TREE.
make_tree() {
	cd "$BATS_TEST_DIRNAME/.." || return
	TREE=$BATS_TEST_TMPDIR/$1
	mkdir -p "$TREE"/build/{tests,bench} "$TREE/tools" "$TREE/tests" "$TREE/bench"
	cp -a Makefile LICENSE README.md common exercises exercise ringtrace day0[1-9]-* "$TREE"
	cp -a tests/{peer,connect,upstream,inject}.c "$TREE/tests"
	cp -a tools/ringtrace "$TREE/tools"
	cp -a bench/histogram.[ch] "$TREE/bench" # ringtrace's, too
	cp -a build/bench/histogram.* "$TREE/build/bench"
	cp -a build/flags build/common build/tools build/libringtrace.so "$TREE/build"
	cp -a build/tests/{peer,connect,upstream,inject}* "$TREE/build/tests"
	cd "$TREE" || return
}

teardown() {
	end_servers
}

# nothing_is_left: no program that was built here runs any more.
nothing_is_left() {
	[ -z "$(find /proc/[0-9]*/exe -lname "$TREE/*" 2>/dev/null)" ]
}

# check [N]: leaves what ./exercise check says in `output`. What reads for ringtrace is no child of the check's, and
# ends a moment after the program that it reads from.
check() {
	run timeout 120 ./exercise check "$@" 3>&-
	echo "$output"
	wait_until nothing_is_left
}

# begins TEXT: what the last command has printed begins so.
begins() {
	[[ $output == "$1"* ]]
}

# solve N
solve() {
	patch --silent --fuzz=0 --no-backup-if-mismatch my/"$1"/*.c exercises/"$1"-*/solution.patch
}

# half N SCRIPT SENTENCE: the solution, changed by this script of sed, is not enough, and the check says so.
half() {
	local original

	original=$(sed -n 's,^--- a/,,p' exercises/"$1"-*/solution.patch)
	mkdir -p "my/$1" && cp "$original" "my/$1"
	solve "$1"
	cp my/"$1"/*.c my/whole
	sed -i -E "$2" my/"$1"/*.c
	run ! cmp -s my/whole my/"$1"/*.c
	check "$1"
	[ "$status" -eq 1 ]
	[[ $output == *"Not yet: $3"* ]]
}

# program N TEXT: the reader's program becomes this.
program() {
	echo "$2" >my/"$1"/*.c
}

# names FILE...: of functions, constants and files that a hint or a task speaks of.
names() {
	grep -oh '`[^`]*`' "$@" | tr -d '`' | grep -E '^([A-Za-z_0-9]+\(\)|[A-Z_0-9]+_[A-Z_0-9]+|[a-z0-9]+(_[a-z0-9]+)+|[a-z0-9/-]+\.[ch])$'
}

# knows NAME PROGRAM: it is in the program, in common/, or in liburing.
knows() {
	[ -e "$1" ] || [ "$1" = "${2##*/}" ] || grep -qwF "${1%()}" "$2" common/*.[ch] "$BATS_FILE_TMPDIR/liburing"
}

# names_exist FOLDER
names_exist() {
	local original name

	original=$(sed -n 's,^--- a/,,p' "$1/solution.patch")
	for name in $(names "$1"/hint* "$1/task.md"); do
		knows "$name" "$original" || {
			echo "$1 speaks of $name, which is nowhere"
			return 1
		}
	done
}

# stands N SENTENCE: the exercise begins with this sentence, ends with its solution, and speaks of what exists.
stands() {
	local folder

	folder=$(echo exercises/"$1"-*)
	names_exist "$folder"
	[[ $(sed -n 1p "$folder/task.md") == "# $1 "* ]]
	grep -q '^About ' "$folder/task.md"
	[ "$(sed '/^--- /,$d' "$folder/solution.patch" | grep -oE '\.( |$)' | wc -l)" -eq 3 ]

	run ./exercise start "$1"
	[ "$status" -eq 0 ]
	[[ $output == "# $1 "*"Your program: my/$1/"* ]]
	check
	[ "$status" -eq 1 ]
	begins "Not yet: $2"
	solve "$1"
	check "$1"
	[ "$status" -eq 0 ]
	begins "Solved: $1 " # so there is no warning before it
}

# The checks mostly wait: six at a time, each in a tree of its own.
exercises() {
	side_by_side 6 in_a_tree_of_its_own "$@"
}

in_a_tree_of_its_own() {
	make_tree "$1"
	"$1"
}

@test "1.1 many-nops" {
	need_strace
	stands 1.1 "there's no option '--nops N' yet."
}

in_order() {
	stands 1.2 "the requests complete in the order 2 1 3 0; it should be 0 1 2 3."
}

bad_request() {
	stands 1.3 "the third request that is prepared should be 'a timeout of -1 ns'."
}

@test "1.2 in-order, 1.3 bad-request" {
	exercises in_order bad_request
}

types() {
	stands 2.1 "there's no 'struct slot' yet: close(FILE_SLOT) still compiles."
}

all_or_nothing() {
	stands 2.2 "when one of the files cannot be opened nothing should be written; "
}

negated_twice() {
	half 2.2 's/error\(EXIT_FAILURE, -slots/error(EXIT_FAILURE, slots/' \
		"when one of the files cannot be opened the message should say why: a completion's result is the error, negated."
}

always_too_many() {
	half 2.2 's/error\(EXIT_FAILURE, -slots\[i\]/error(EXIT_FAILURE, ENFILE/' "the message should say why the file cannot be opened: there is none."
}

always_missing() {
	half 2.2 's/error\(EXIT_FAILURE, -slots\[i\]/error(EXIT_FAILURE, ENOENT/' "the message should say why the file cannot be opened: a folder in its path is none."
}

too_many_is_missing() {
	half 2.2 's/open_ring\(files \+ 1\)/open_ring(64)/; s/-slots\[i\], "%s: open"/i > 2 ? ENOENT : &/' \
		"with 100 files that all exist the message should say that there are too many."
}

@test "2.1 types, 2.2 all-or-nothing; what is not enough: an error that is not the completion's" {
	exercises types all_or_nothing negated_twice always_too_many always_missing too_many_is_missing
}

one_submit() {
	stands 2.3 "LICENSE takes 5 calls of io_uring_enter; two are enough."
}

no_close_after_short_read() {
	half 2.3 's/(FIXED_FILE \| IOSQE_IO_)HARD/\1/; s/results\[CLOSE\] < 0/& \&\& results[CLOSE] != -ECANCELED/' \
		"no slot should stay in use; of 3 files that were opened, 0 were closed"
}

no_second_look() {
	half 2.3 's/results\[READ\] != size/(results[READ] < 0 \&\& size >= 0)/; s/write_all\(size\)/write_all(results[READ])/' \
		"LICENSE Makefile should come out whole although the first read brings only one byte, "
}

message_of_another() {
	# Which has a size and cannot be read, not even by root; not every container has it.
	[ ! -s /sys/bus/platform/drivers_probe ] || half 2.3 's/^\tif \(results\[OPEN\] < 0 .*/\tif (results[OPEN] < 0)\n\t\texit(EXIT_FAILURE);\n&/' \
		"the message for /sys/bus/platform/drivers_probe should be that of the open"
}

no_link() {
	half 2.3 '/HARDLINK; .. it is closed/d' "the read should wait for the open, which may take a while"
}

@test "2.3 one-submit; what is not enough: no close after a short read, no second look, the open's message, no link" {
	need_strace
	exercises one_submit no_close_after_short_read no_second_look message_of_another no_link
}

turn_nobody_away() {
	stands 3.2 "of 300 clients, "
}

greet() {
	stands 3.1 "a client should get the line 'hello 1'; it got ''."
}

end_in_order() {
	stands 3.3 "with nothing open, the exit status after the signal should be 0; it is 143."
}

one_greeting_for_all() {
	half 3.1 's/greetings\[slot\]/greetings[0]/g' \
		"fifty clients that come at once should get 'hello 1' to 'hello 50', each a different line, even if the kernel"
}

closed_twice() {
	half 3.1 's/data64\(sqe, GREETING\)/data64(sqe, GREETING + slot)/; s/(prepare_greeting\(slot), options.*/\1, 0);/
		/^\tif \(!options.hold\)$/,+1d
		s/else if \(cqe->user_data != GREETING\).*/else if (cqe->user_data >= GREETING) {\n\t\t\tif (!options.hold)\n\t\t\t\tprepare_close((unsigned)(cqe->user_data - GREETING));\n\t\t} else/' \
		"your server does not accept connections any more"
}

ends_before_the_last() {
	half 3.3 's/return !accepting && slots_in_use == 0/return slots_in_use == 0/' \
		"with --hold --slots 64 and a hundred clients that come right after the signal, the accept has still brought 64 "
}

@test "3.1 greet, 3.2 turn-nobody-away, 3.3 end-in-order; what is not enough: one text for all peers, where the kernel takes it later; a slot closed twice, also when the table is full; to end before the accept's last completion" {
	exercises turn_nobody_away greet end_in_order one_greeting_for_all closed_twice ends_before_the_last
}

too_long_closed() {
	half 4.3 's/else if \(connection->too_long .*/else if (connection->too_long)/; s/^\t\tprepare_shutdown\(slot\);/\t\tprepare_close(slot), (void)prepare_shutdown;/' \
		"after 'too long' a client should get EOF, not a reset"
}

replies_may_not_fit() {
	half 4.3 's/connection->length \+ MOST_REPLY_BYTES <= OWN_BYTES/connection->length < OWN_BYTES/' \
		"20000 lines of one byte should get as many times 'ack 1'"
}

multishot_accept() {
	half 4.2 's/prep_accept\(sqe, listen_fd, NULL, NULL, 0\)/prep_multishot_accept_direct(sqe, listen_fd, NULL, NULL, 0)/; /FILE_INDEX_ALLOC/d' \
		"when all slots are in use, the next client should wait"
}

too_many_accepts() {
	half 4.2 's/accepts < options.slots - slots_in_use/slots_in_use < options.slots/' \
		"when all slots are in use, the next client should wait"
}

too_few_accepts() {
	half 4.2 '/^static void on_accept/,/^}/s/^\tadvance_accepts\(\);//' \
		"with --slots 16, 16 clients that stay should all be served; client 9 got ''."
}

no_accept_pause() {
	half 4.2 's/pausing = true/pausing = false/' "while every accept fails (EMFILE) the server should pause; it reaped "
}

one_at_a_time() {
	stands 4.2 "your program still calls common/acceptor.h: its accepts should be your own."
}

lines_of_text() {
	stands 4.3 "three lines that come together should get 'ack 1', 'ack 2' and 'ack 3'; instead of one of these came 'ack 9'."
}

quit() {
	stands 4.1 "a client that sends 'quit' should get 'bye'; it got 'ack 5'."
}

quit_closes() {
	half 4.1 's/(connection->quits) = says_quit/connection->eof = \1 = says_quit/' \
		"a client that goes on sending after its 'bye' shouldn't be reset"
}

quit_replies() {
	half 4.1 's/if \(!connection->shut_down\)$/if (true)/' \
		"a client that has sent 20000 bytes after its 'quit' was reset"
}

quit_by_its_beginning() {
	half 4.1 's/length >= [^&]*&& memcmp\(chunk, word, sizeof\(word\)\)/memcmp(chunk, word, (size_t)length < sizeof(word) ? (size_t)length : sizeof(word))/' \
		"'q' alone is not 'quit': it should get its 'ack'; it got 'bye'."
}

@test "4.1 quit, 4.2 one-at-a-time, 4.3 lines; what is not enough: for 4.1 a close, a reply to what is to be discarded, the beginning of the word; for 4.2 a multishot accept, more accepts than free slots, too few, no pause; for 4.3 a close after too long a line, replies that may not fit" {
	exercises too_long_closed replies_may_not_fit multishot_accept too_many_accepts too_few_accepts no_accept_pause \
		one_at_a_time lines_of_text quit quit_closes quit_replies quit_by_its_beginning
}

passed_on_at_once() {
	half 5.3 's/^\t\tprepare_pass\(\);/\t\tpass_on(), (void)prepare_pass;/' "when forty clients speak at once, each should hear the others"
}

forgotten_waiter() {
	half 5.3 's/if \(buffer_missing/if (false \&\& buffer_missing/' \
		"what comes at once and fills many buffers should still reach everybody who reads"
}

chat() {
	stands 5.3 "what a client says should reach every other client; with 3 of them one heard nothing for 3 s."
}

gather() {
	stands 5.2 "four streams filled "
}

two_buffers_a_send() {
	half 5.2 's/(define BUFFERS_A_SEND\s+)16/\12/' "four streams filled "
}

one_list_for_all() {
	half 5.2 's/size_t index = .*/size_t index = 0 * (size_t)(sqe - ring.sq.sqes);/' \
		"with --buffers 4096 --buffer-size 2048 four streams should come back whole"
}

rounded_short_send() {
	half 5.2 's/^(\tbytes \+= connection->sent;)/\1\n\tbytes = bytes \/ 2048 * 2048;/' "with "
}

forgotten_short_send() {
	half 5.2 's/skip = connection->sent/skip = 0/' "with "
}

rot13() {
	stands 5.1 "'Hello, World 13!' should come back as 'Uryyb, Jbeyq 13!'; it came back as 'Hello, World 13!'."
}

@test "5.1 rot13, 5.2 gather, 5.3 chat; what is not enough: for 5.2 two buffers a send, one list for all, a short send that is rounded, or forgotten; for 5.3 to pass on all at once, for then who reads is dropped, too; to forget who waits for a buffer" {
	exercises passed_on_at_once forgotten_waiter chat gather two_buffers_a_send one_list_for_all rounded_short_send \
		forgotten_short_send rot13
}

rate() {
	stands 6.2 "there's no option '--rate BYTES' yet."
}

one_rate() {
	half 6.2 's/prepare_pause\(slot, \(unsigned\)result/& * acceptor.slots_in_use/' \
		"with --rate 400000 three streams of a megabyte should take no longer than one"
}

warn() {
	stands 6.1 "with --idle 1600, a client that says nothing should get the line 'idle'; it got ''."
}

warn_at_any_time() {
	half 6.1 's/\.sending && !connections\[slot\]/.ending \&\& !connections[slot]/' \
		"what a client gets back should stay whole: no 'idle' in the midst of it"
}

warn_for_ever() {
	half 6.1 's/(half_over) = true/\1 = false/' "a silent client should get one 'idle', then EOF; it got 'idle' as well."
}

warn_once_only() {
	half 6.1 '/^static void record_activity/,/^}/s/^.*half_over = false.*//' \
		"a client should be warned each time it falls silent, even after an earlier warning"
}

ended_for_its_rate() {
	half 6.2 's/if \(connection->pausing && !connection->ending/if (false/' \
		"with --rate 2000 --idle 100, 9000 bytes should take three seconds or more; "
}

rate_at_the_end() {
	half 6.2 's/if \(connections\[slot\].pausing\)/if (false)/' \
		"at SIGTERM a client should get what was received, without waiting for its rate; it got 4096 of 12288 bytes"
}

lifetime() {
	stands 6.3 "there's no option '--lifetime MS' yet."
}

lifetime_late() {
	half 6.3 's/since_ns = oldest == by_age.none \? now_ns : (.*);/since_ns = \1;/
		s/if \(options.lifetime_ms && next/if (options.lifetime_ms \&\& slot_list_first(\&by_age) != by_age.none \&\& next/' \
		"with --lifetime 1000, a silent client should have had its EOF by now, after "
}

lifetime_moved() {
	half 6.3 '/^static void record_activity/,/^}/s/^\t(connections\[slot\].)slow = 0;/&\n\t\1born_ns = now_ns;/' \
		"with --lifetime 1000, "
}

lifetime_with_a_reset() {
	half 6.3 '/^static void end_too_old/,/^}/s/\tend\(oldest\);/{\n\t\t\tend(oldest);\n\t\t\tconnections[oldest].eof = true;\n\t\t}/' \
		"a client that's still sending when its life is over shouldn't be reset"
}

# numbers: of all exercises, one a line.
numbers() {
	printf '%s\n' exercises/*/task.md | sed 's,exercises/,,; s,-.*,,'
}

# three_each NUMBERS: each day that has exercises has three of them.
three_each() {
	local days

	mapfile -t days < <(cut -d. -f1 <<<"$1" | uniq)
	diff <(printf '%s\n' "${days[@]/%/.1}" "${days[@]/%/.2}" "${days[@]/%/.3}" | sort) <(echo "$1")
}

hidden() {
	stands 8.1 "GET /.secret should get a 404; it gets 200."
}

listing() {
	stands 8.2 "GET /dir/, which has no index.html, should get a 200; it gets 404."
}

cache() {
	stands 8.3 "100 requests for the same file took 100 openat2s: three at most."
}

hidden_undecoded() {
	half 8.1 's/is_hidden\(exchange->piece\)/is_hidden(exchange->request.target)/' "GET /%2esecret is /.secret by another name"
}

@test "8.1 hidden files, and a look at the name before it is decoded is not enough; 8.2 listing; 8.3 cache" {
	command -v curl >/dev/null || skip "needs curl"
	exercises hidden hidden_undecoded listing cache
}

pin() {
	stands 9.1 "there's no option '--pin' yet."
}

pin_anywhere() {
	half 9.1 's/while \(!CPU_ISSET\(cpu, &allowed\) \|\| left-- > 0\)/while (left-- > 0)/' "under taskset -c"
}

no_lock() {
	stands 9.2 "your program still locks: it calls pthread_mutex_lock."
}

no_lock_hurries() {
	half 9.2 's/print_again = reports_missing > 0;/print_again = false;/' \
		"if SIGUSR1 comes again before all threads have answered, a print has old counts: "
}

processes() {
	stands 9.3 "with --threads 3 the server should start 3 processes; it has 0."
}

processes_keep_sockets() {
	half 9.3 's/if \(i != number\)/if (number == options.threads)/' "after a crash, every new client should be served"
}

@test "9.1 pin, and a look at which processors there are is needed; 9.2 no lock, and one print after the other; 9.3 processes, and who closes what" {
	command -v curl >/dev/null || skip "needs curl"
	exercises pin pin_anywhere no_lock no_lock_hurries processes processes_keep_sockets
}

@test "there are three exercises a day, and each has its test here" {
	run bash -c "./exercise | grep -oE '[1-9][.][1-9]  ' | tr -d ' '"
	[ "$output" = "$(numbers)" ]
	[ "${#lines[@]}" -ge 15 ]
	three_each "$output"
	for number in "${lines[@]}"; do
		grep -q "^	stands $number " "$BATS_TEST_FILENAME"
	done
	run ! three_each "$(sed 4d <<<"$output")"
	diff <(steps) <(steps_called)
}

# steps: the functions that are about an exercise, and steps_called: those that tests call.
steps() {
	awk '/^[a-z0-9_]+\(\) \{$/ { name = $1 }
		/^@test / { name = "" }
		name && /^\t(.* \|\| )?(stands|half) [1-9]/ { print substr(name, 1, index(name, "(") - 1) }' "$BATS_TEST_FILENAME" | sort
}

steps_called() {
	sed -n '/^\texercises /,/^}/p' "$BATS_TEST_FILENAME" | tr -s ' \t\\}' '\n' | grep -vxE '(exercises)?' | sort
}

# bar SOLVED...: what the first line shows if the exercises in these places are solved.
bar() {
	local place bar

	bar=$(numbers | sed 's,.*,.,' | tr -d '\n')
	for place; do
		bar=${bar:0:place-1}#${bar:place}
	done
	echo "[$bar] $# of ${#bar} solved"
}

@test "without a command it says where you are, from any folder and through a link" {
	ln -s "$TREE/exercise" "$BATS_TEST_TMPDIR/link"
	cd /
	run "$TREE/exercise"
	[ "$status" -eq 0 ]
	cd "$TREE"
	[ "${lines[0]}" = "$(bar)" ]
	[[ $output == *"Next: ./exercise start 1.1" ]]

	"$BATS_TEST_TMPDIR/link" start 1.2
	run "$TREE/exercise"
	[[ $output == *"> 1.2  One after the other"*"in my/1.2/setup.c"* ]]
	[[ $output == *"You are at 1.2. Go on with ./exercise check, or ask for a hint: ./exercise hint" ]]

	touch "$TREE/my/1.2/.solved"
	run "$BATS_TEST_TMPDIR/link"
	[ "${lines[0]}" = "$(bar 2)" ]
	[[ $output == *"1.2  One after the other"*solved* ]]
	[[ $output == *"Next: ./exercise start 1.3" ]]
}

@test "next is what follows the exercise that was done, and what was left out comes at the end" {
	./exercise start 5.1
	./exercise start 5.2
	./exercise start 3.1
	touch my/3.1/.solved
	run ./exercise
	[[ $output == *"Next: ./exercise start 3.2" ]]
	for number in 3.2 3.3 4.1 4.2 4.3; do
		mkdir "my/$number" && touch "my/$number/.solved"
	done
	run ./exercise
	[[ $output == *"Next: go on with 5.1 in my/5.1/echo.c, and then: ./exercise check 5.1" ]]
	for number in $(numbers | sed '1,/^4.3/d'); do
		mkdir -p "my/$number" && touch "my/$number/.solved"
	done
	run ./exercise start
	[[ $output == "# 1.1 "* ]]
	for number in $(numbers); do
		mkdir -p "my/$number" && touch "my/$number/.solved"
	done
	run ./exercise
	[ "${lines[-1]}" = "All are solved." ]
}

@test "start takes the next exercise; a second start refuses, keeps the work and says how to go on" {
	run ./exercise start
	[ "$status" -eq 0 ]
	cmp my/1.1/setup.c day01-setup/setup.c
	program 1.1 "mine"
	run ./exercise start 1.1
	[ "$status" -eq 1 ]
	[ "$(cat my/1.1/setup.c)" = mine ]
	[[ $output == "You have already started 1.1: your program is my/1.1/setup.c, and stays as it is."* ]]
	[[ $output == *"./exercise check 1.1"*"./exercise reset 1.1" ]]
}

@test "reset begins anew and keeps what there was, each time" {
	./exercise start 4.1
	for text in first second; do
		program 4.1 "$text"
		touch my/4.1/.solved
		run ./exercise reset
		[ "$status" -eq 0 ]
		cmp my/4.1/event-loop.c day04-event-loop/event-loop.c
		[ ! -e my/4.1/.solved ]
	done
	[ "$(cat my/old/4.1-1/event-loop.c)" = first ]
	[ "$(cat my/old/4.1-2/event-loop.c)" = second ]
}

@test "what cannot be meant is refused: no exercise yet, one not started, one or a command that is none" {
	for command in check watch hint solution reset; do
		run ./exercise "$command"
		[ "$status" -eq 1 ]
		[ "$output" = "You are at no exercise yet. Begin with: ./exercise start" ]
		run ./exercise "$command" 2.1
		[ "$status" -eq 1 ]
		[ "$output" = "You have not started 2.1 yet: ./exercise start 2.1" ]
	done
	for arguments in "start 0.1" "start 1" "start .." "check 3.1-greet" "chek" "start 1.1 1.2"; do
		# shellcheck disable=SC2086 # several words
		run --separate-stderr ./exercise $arguments
		[ "$status" -eq 2 ]
		[ -z "$output" ]
		[[ $stderr == "./exercise: "*"Try './exercise --help'." ]]
	done
	[ ! -e my ]
	run ./exercise --help
	[ "$status" -eq 0 ]
	[[ $output == "Usage: ./exercise "* ]]
}

@test "hints come one after the other, and then all again" {
	./exercise start 2.2
	for ((i = 1; i <= 3; i++)); do
		run ./exercise hint
		[ "$status" -eq 0 ]
		[ "$output" = "Hint $i of 3:
$(cat exercises/2.2-*/hint$i)" ]
	done
	run ./exercise hint
	[[ $output == "Those were all the hints"*"$(cat exercises/2.2-*/hint1)"*"$(cat exercises/2.2-*/hint3)" ]]
}

@test "a solution is shown to who asks twice, or has solved it" {
	./exercise start 1.2
	run ./exercise solution
	[ "$status" -eq 1 ]
	[[ $output != *"--- a/"* ]]
	run ./exercise solution
	[ "$status" -eq 0 ]
	[ "$output" = "$(cat exercises/1.2-*/solution.patch)" ]

	./exercise start 1.3
	touch my/1.3/.solved
	run ./exercise solution
	[ "$status" -eq 0 ]
	[ "$output" = "$(cat exercises/1.3-*/solution.patch)" ]
}

@test "the days' sources are never touched" {
	cp -a day01-setup "$BATS_TEST_TMPDIR/before"
	./exercise start 1.2
	check
	solve 1.2
	check
	./exercise solution
	./exercise reset 1.2
	diff -r day01-setup "$BATS_TEST_TMPDIR/before"
}

@test "a program that does not compile: the compiler's words, and a sentence" {
	./exercise start 1.2
	program 1.2 "int main(void) { return nonsense; }"
	check
	[ "$status" -eq 1 ]
	[[ $output == *"nonsense"*"Not yet: my/1.2/setup.c does not compile." ]]
}

@test "warnings are shown although the program works" {
	./exercise start 1.2
	solve 1.2
	echo 'static void unused(void) {}' >>my/1.2/setup.c
	CI='' check
	[ "$status" -eq 0 ]
	[[ $output == *"unused"*"Solved: 1.2"* ]]
}

@test "a program that crashes: the signal is named" {
	./exercise start 1.2
	program 1.2 '#include <signal.h>
int main(void) { return signal(SIGSEGV, SIG_DFL), raise(SIGSEGV); }'
	check
	[ "$status" -eq 1 ]
	begins "Not yet: your program did not come to its end: it crashed with SIGSEGV"

	./exercise start 3.1
	sed -i 's/^\tslots_in_use++;/\tabort();/' my/3.1/accept.c
	check
	[ "$status" -eq 1 ]
	[[ $output == *"And your server is gone: it crashed with SIGABRT"* ]]
}

# What prints that it listens, and from then on does nothing, not even end.
DEAF='#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	signal(SIGTERM, SIG_IGN);
	puts("listening on 127.0.0.1:1");
	fflush(stdout);
	for (;;)
		pause();
}'

@test "a program that never ends: the limit is said, and nothing is left" {
	sed -i 's/^RUN_SECONDS=5$/RUN_SECONDS=1/' exercises/check.bash
	./exercise start 1.2
	program 1.2 "$DEAF"
	check
	[ "$status" -eq 1 ]
	begins "Not yet: your program did not end within 1 s"

	./exercise start 3.1
	program 3.1 "$DEAF"
	check
	[ "$status" -eq 1 ]
	begins "Not yet: your server does not accept connections any more."
}

@test "a check that never ends is ended, with all that it has started" {
	sed -i 's/^CHECK_SECONDS=30$/CHECK_SECONDS=1/' exercise
	./exercise start 3.1
	program 3.1 "$DEAF"
	printf '%s\n' '#!/usr/bin/env bash' '"$1" &' 'wait' >exercises/3.1-greet/check
	check
	[ "$status" -eq 1 ]
	begins "Not yet: the check took longer than 1 s, and was ended."
}

# start_exercise ARG...: in the background, and such that it can be interrupted as by Ctrl-C.
start_exercise() {
	TERM=dumb env --default-signal=INT ./exercise "$@" >"$BATS_TEST_TMPDIR/output" 2>&1 3>&- &
	PID=$!
	SERVERS+=("$PID")
}

program_runs() {
	! nothing_is_left
}

@test "Ctrl-C during a check ends it, and all that it has started" {
	./exercise start 1.2
	program 1.2 "$DEAF"
	for signal in INT TERM; do
		start_exercise check
		wait_until program_runs
		stop_server "$signal"
		[ "$status" -gt 128 ]
		nothing_is_left
		[ ! -e my/1.2/.solved ]
	done
}

printed() {
	grep -qF -- "$1" "$BATS_TEST_TMPDIR/output"
}

is_gone() {
	[ ! -e "/proc/$1" ] || is_in_state Z "$1"
}

@test "watch checks at every save, and ends when it is solved" {
	./exercise start 1.2
	start_exercise watch
	wait_until printed "Not yet: the requests complete in the order 2 1 3 0"
	wait_until printed "Waiting for my/1.2/setup.c"
	echo "nonsense" >>my/1.2/setup.c
	wait_until printed "does not compile"
	cp day01-setup/setup.c my/1.2/
	solve 1.2
	wait_until printed "Solved: 1.2"
	wait_until is_gone "$PID"
	wait "$PID"
	nothing_is_left
}

@test "what a server did before it ended counts, also where it ends between two looks" {
	ends_meanwhile() {
		looks=$((looks + 1))
		[ "$looks" -gt 1 ] || kill -KILL "$SERVER"
		while kill -0 "$SERVER" 2>/dev/null; do
			wait "$SERVER" || true
		done
		[ "$looks" -gt 1 ]
	}
	SCRATCH=$BATS_TEST_TMPDIR
	# shellcheck source=/dev/null
	. exercises/check.bash ./program
	sleep 60 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	looks=0
	wait_until ends_meanwhile
}

@test "colour is for a terminal that has some" {
	command -v script >/dev/null || skip "needs script (package bsdutils)"
	./exercise start 1.1
	touch my/1.1/.solved
	run ./exercise
	[[ $output != *$'\e'* ]]
	run env -u NO_COLOR TERM=xterm script -qec ./exercise /dev/null
	[[ $output == *$'\e'* ]]
	run env NO_COLOR=1 TERM=xterm script -qec ./exercise /dev/null
	[[ $output != *$'\e'* ]]
	run env -u NO_COLOR TERM=dumb script -qec ./exercise /dev/null
	[[ $output != *$'\e'* ]]
}

log() {
	stands 7.1 "when a client has sent 300 bytes and got 1000 there should be the line 'closed: 300 from the client, 1000 from the upstream'."
}

log_at_the_first_eof() {
	half 7.1 's/client->failed \|\| server->failed/server->eof \&\& client->failed/' \
		"when the upstream resets after 1000 bytes the line should be 'reset: 300 from the client, 1000 from the upstream'; it is "
}

take_turns() {
	stands 7.2 "it doesn't take two upstreams yet, or --help doesn't say so (HOST:PORT...)."
}

turns_without_a_next() {
	half 7.2 's/\+\+connection->tried < upstream_count/false/' \
		"when the second of three is gone, the third takes its turn"
}

dead_upstream() {
	stands 7.3 "there is no option '--retry MS' yet."
}

all_try_at_once() {
	half 7.3 '/return false;/,/return true;/s/^\tretry_ns = .*//' "while one tries again a client should be reset at once"
}

leaving_is_a_failure() {
	half 7.3 's/else if \(wanted \&\& connection->failed/else if (connection->failed/' \
		"clients that leave while connecting are no failure of the upstream"
}

# Those that wait longest begin first.
@test "6.1 warn, 6.2 rate, 6.3 lifetime; 7.1 log, 7.2 take turns, 7.3 a dead upstream; and for each what is not enough" {
	exercises lifetime rate warn dead_upstream rate_at_the_end lifetime_late ended_for_its_rate warn_at_any_time \
		lifetime_with_a_reset log take_turns all_try_at_once warn_for_ever one_rate lifetime_moved warn_once_only \
		turns_without_a_next leaving_is_a_failure log_at_the_first_eof
}
