#!/usr/bin/env bats
# The lessons (dayNN-topic/README.md) say what happens and show what is there. For whoever writes one:
#
# ```console
# $ COMMAND           is run in the project's root (a leading "make WHAT &&" is left out: all is built),
# OUTPUT              and what it prints, on standard output and error, up to the next "$ " or the end
# ```                 of the block, has to be this, numbers included. What may differ is listed below,
#                     in `varies`: add a line there for what depends on the machine or the moment.
#                     A server, a command whose output has "listening on", gets a free port for its
#                     default one and runs on while the blocks that follow are its clients. "^C"
#                     at the beginning of a line ends it as Ctrl-C does, and what follows is what it
#                     prints then; a block without "^C" shows only how its output begins. A line
#                     "..." stands for any number of lines.
# ```sh               is for the reader only: nothing is run. For what takes long or needs a choice.
# ```text             is for what is no code and not run, and for memory drawn as a row of boxes: at most 100 columns
#                     wide.
# ![WORDS](NAME.svg)  is a drawing, which lies beside the lesson and has a <title> and a <desc> that tell all it shows.
# ```c FILE           lines of FILE, one after the other and with their indentation. A line "..." stands
#                     for lines that are left out; what follows it has to come later in FILE. No other
#                     C is allowed: wrong code is quoted from mistakes/.
# ```diff OLD NEW     without the "+" lines an excerpt of OLD, without the "-" lines one of NEW.
#
# Every relative link, in all Markdown files, has to lead to a file, and its #anchor to a heading. The
# line that begins with "**Needs:** Linux N" has to agree with the source that is called like the day.

load helpers
load peers

teardown() {
	for pid in "${SERVERS[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null || true
	done
	end_servers
}

# What may differ: a name, and how sed finds it.
varies=(
	'addresses in memory' 's/0x[0-9a-f]{12}\b/ADDRESS/g'
	'the port that was free' 's/^(listening on .*:)[0-9]+$/\1PORT/'
	'looks without a completion' 's/(nothing there yet,) [0-9]+ times/\1 N times/'
	'how many completions a wait brings' 's/waits: [0-9]+, completions a wait: [0-9.]+,/waits: N, completions a wait: N,/'
	"peer: the answers' times" 's/reply: [0-9]+ us/reply: N us/g'
	'what a request takes' 's/: +[0-9]+ ns a request/: N ns a request/'
	'short-send: what a socket takes at once' 's/: [0-9]+ sent, [0-9]+ read/: N sent, N read/; s/waits for [0-9]+ bytes more/waits for N bytes more/'
	'when a kernel thread fell asleep' 's/after [0-9]+ ms/after N ms/'
	"probe: this machine's kernel and liburing" 's/^(kernel|liburing): .*/\1: RELEASE/'
	"HTTP: ends of lines, the date, the file's tag" 's/\r$//; s/^Date: .*/Date: NOW/; s/^ETag: .*/ETag: TAG/'
	'the log of day 8: when' 's,\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} \+0000\],[NOW],'
	'which thread a client gets' '/^thread [0-9]+:$/,/^requests: /s/[0-9]+(\.[0-9]+)?/N/g'
	'balance: who gets how many' 's/^((a|one) (listener|thread).*[a-z])( +[0-9]+){8}$/\1 N/'
	'ringtrace: times' 's/^ +[0-9]+\.[0-9]{6} /TIME /; s/ *[0-9]+\.[0-9]{3} ms/ N ms/g'
	'ringtrace: when a timeout ends' 's/ at [0-9]+\.[0-9]{6} s / at TIME s /'
	"day 8: the length of a reply, in which a file's ETag is" 's/( send +(slot 0 len|=) )127[0-9]/\1LENGTH/'
	'ringtrace: a flag that later liburings set' 's/(, |\|)NO_SQARRAY$//'
	'ringtrace: looks without a completion' 's/(calls that did not: .*,) [0-9]+ (to look)/\1 N \2/'
)

normalized() {
	local expressions=() i

	for ((i = 1; i < ${#varies[@]}; i += 2)); do
		expressions+=(-e "${varies[i]}")
	done
	sed -E "${expressions[@]}"
}

# blocks FILE: the file's console blocks, each ended by a line with only an ASCII record separator.
blocks() {
	awk '/^```console$/ { inside = 1; next }
		inside && /^```$/ { inside = 0; print "\036"; next }
		inside' "$1"
}

# here COMMAND: as the reader types it, but without building anew, and talking to this test's server.
here() {
	local command=$1

	# shellcheck disable=SC2001 # a regular expression
	command=$(sed -E 's/^make [a-z0-9 -]+ && //' <<<"$command")
	if [ -n "${PORT:-}" ]; then
		command=${command//700[3-9]/$PORT}
		command=$(sed -E "s/\\$\\(pidof [a-z-]+\\)/$PID/" <<<"$command")
	fi
	echo "$command"
}

# excerpt_of LINES TEXT: whether the lines are in the text; "..." stands for those left out.
excerpt_of() {
	local text=$'\n'$2$'\n' part=$'\n' line

	while IFS= read -r line; do
		if [[ "$line" =~ ^[[:space:]]*'...'$ ]]; then
			[[ "$text" == *"$part"* ]] || break
			text=$'\n'${text#*"$part"}
			part=$'\n'
		else
			part+=$line$'\n'
		fi
	done <<<"$1"
	[[ "$text" == *"$part"* ]] && return
	printf 'not there, or not in this order:%s' "$part"
	return 1
}

# as_shown EXPECTED PRINTED: whether what was printed is what the lesson shows.
as_shown() {
	local expected printed

	expected=$(normalized <<<"$1")
	printed=$(normalized <<<"$2")
	[ "$expected" != "$printed" ] || return 0
	! grep -qx '\.\.\.' <<<"$1" || {
		# Nothing is left out but where the lesson says so.
		excerpt_of $'\002\n'"$expected"$'\n\003' $'\002\n'"$printed"$'\n\003' && return
	}
	diff <(echo "$expected") <(echo "$printed")
}

# as_typed COMMAND: with a terminal's descriptors, so that the next one is 3, and Ctrl-C's effect.
as_typed() {
	exec timeout --foreground 60 env --default-signal=INT bash -c "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; $1" 2>&1
}

# start_lesson_server COMMAND: in a process group of its own, which is what Ctrl-C ends.
start_lesson_server() {
	# shellcheck disable=SC2086 # the words of the command
	start_server setsid env --default-signal=INT bash -c \
		"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec \"\$@\" 2>&1" bash $1 0
}

# end_lesson_server: Ctrl-C to the server that runs, if one does, and compares all it has printed.
end_lesson_server() {
	local before=${EXPECTED%%'^C'*}

	[ -n "${PORT:-}" ] || return 0
	has_printed() {
		as_shown "${before%$'\n'}" "$(head -n "$(wc -l <<<"${before%$'\n'}")" "$LOG")" >"$own/difference"
	}
	# Lines that are left out may be any number: they are compared at the end only.
	grep -qx '\.\.\.' <<<"$EXPECTED" || wait_until has_printed || {
		cat "$own/difference"
		return 1
	}
	kill -INT -- "-$PID" 2>/dev/null || true # it may have ended by itself
	wait_until has_ended "$PID"
	status=0
	wait "$PID" || status=$?
	((status == 0 || status == 130))
	PORT=
	[[ "$EXPECTED" != *'^C'* ]] || as_shown "${EXPECTED/^C/}" "$(<"$LOG")"
}

# check COMMAND EXPECTED: runs the command and compares; servers go on running.
check() {
	local command try

	command=$(here "$1")
	echo "checking: $command"
	checked=$((checked + 1))
	if [[ "$2" == *'listening on '* ]]; then
		end_lesson_server
		EXPECTED=$2
		start_lesson_server "$(PORT='' here "$1")"
		return
	fi
	[[ "$command" != *./day0* ]] || end_lesson_server
	# On a busy machine a step may take so long that the next is another: it has a few tries.
	for try in 1 2 3 4 5; do
		(as_typed "$command") >"$own/printed" </dev/null || true # lessons show failures, too
		if as_shown "$2" "$(<"$own/printed")" >"$own/difference"; then
			return
		fi
		# What talks to a server has an effect, and no second try.
		[ -z "${PORT:-}" ] || break
	done
	cat "$own/difference"
	return 1
}

# runs_as_shown FILE: each console block of the lesson.
runs_as_shown() {
	local line command='' expected='' own

	checked=0
	own=$(mktemp -d -p "$BATS_TEST_TMPDIR") # for what is printed
	while IFS= read -r line <&4; do
		if [[ "$line" == '$ '* || "$line" == $'\036' ]]; then
			[ -z "$command" ] || check "$command" "${expected%$'\n'}"
			expected=''
			command=${line#'$ '}
			[ "$line" != $'\036' ] || command=''
		else
			expected+=$line$'\n'
		fi
	done 4< <(blocks "$1")
	end_lesson_server
	((checked > 0))
}

# They wait.
@test "the lessons of days 1, 3, 4 and 6 show what their programs print" {
	side_by_side 4 runs_as_shown day01-setup/README.md day03-accept/README.md day04-event-loop/README.md \
		day06-deadlines/README.md
}

@test "day 2's lesson shows what its program prints" {
	runs_as_shown day02-registered-files/README.md
}

@test "day 5's lesson shows what its program prints" {
	runs_as_shown day05-echo/README.md
}

@test "day 7's lesson shows what its program prints" {
	runs_as_shown day07-proxy/README.md
}

@test "day 8's lesson shows what its program prints" {
	runs_as_shown day08-web/README.md
}

@test "day 9's lesson shows what its program prints" {
	runs_as_shown day09-cores/README.md
}

# trace_of FILE: the lesson's text block that shows a server under ringtrace, without the command.
trace_of() {
	awk '/^```text$/ { inside = 1; next }
		/^```$/ { inside = shown = 0 }
		shown
		inside && /^\$ \.\/ringtrace / { shown = 1 }' "$1"
}

# talk_as_in LESSON: is the client of the run that the lesson shows, for a server on $PORT.
talk_as_in() {
	local client

	exec {client}<>"/dev/tcp/127.0.0.1/$PORT"
	case $1 in
	day03*) ;;
	day04*) printf hello >&"$client" ;;
	day05*) echo 'hello, ring' >&"$client" ;;
	day06*)
		echo 'hello, ring' >&"$client"
		timeout 20 cat <&"$client" >/dev/null # until the server ends it
		;;
	day08*)
		printf 'GET /LICENSE HTTP/1.1\r\nHost: localhost\r\n\r\n' >"$BATS_TEST_TMPDIR/get"
		cat "$BATS_TEST_TMPDIR/get" >&"$client" # with one send
		;;
	*)
		echo "$1: add its client here"
		return 1
		;;
	esac
	[[ $1 == day03* || $1 == day06* ]] || read -r -t 20 <&"$client"
	exec {client}>&-
}

# A lesson whose run needs more than a server and one client has a test in the file of its day.
@test "what the lessons of the servers show under ringtrace is what one client makes it print" {
	local lesson command

	for lesson in day0[3-9]-*/README.md; do
		command=$(sed -n 's/^\$ \.\/ringtrace \(\.\/day0\)/\1/p' "$lesson")
		[ -n "$command" ] || [[ $lesson != day0[3-6]* ]]
		# Day 9's threads come in any order: tests/day09.bats looks for the lines.
		[ -n "$command" ] && [[ $lesson != day09* ]] || continue
		# shellcheck disable=SC2086 # the words of the command
		start_server ./ringtrace -o "$BATS_TEST_TMPDIR/trace" $command 0
		talk_as_in "$lesson"
		# The signal isn't meant to come between the client's EOF and the close.
		[[ $lesson != day06* ]] || wait_until grep -q 'CQE  close' "$BATS_TEST_TMPDIR/trace"
		[[ $lesson == day03* ]] || kill -TERM "$PID"
		wait_until has_ended "$PID"
		# Descriptors have other numbers here.
		excerpt_of "$(trace_of "$lesson" | normalized | sed -E 's/\bfd [0-9]+/fd N/g')" \
			"$(normalized <"$BATS_TEST_TMPDIR/trace" | sed -E 's/\bfd [0-9]+/fd N/g')"
	done
}

# excerpt LANGUAGE LINES FILE...: compares one with its source.
excerpt() {
	case $1 in
	c)
		[ $# -eq 3 ] && excerpt_of "$2" "$(<"$3")"
		;;
	diff)
		[ $# -eq 4 ] &&
			excerpt_of "$(grep -v '^+' <<<"$2" | sed 's/^[ -]//')" "$(<"$3")" &&
			excerpt_of "$(grep -v '^-' <<<"$2" | sed 's/^[ +]//')" "$(<"$4")"
		;;
	text)
		# But for what ringtrace prints.
		[ "$(grep -v ' ring 1 ' <<<"$2" | expand | wc -L)" -le 100 ]
		;;
	console | sh) ;;
	*)
		echo "a block in no language that lessons have"
		return 1
		;;
	esac
}

# The next one is for what the test above relies on.
@test "an excerpt that is not in its source is found out" {
	excerpt_of $'b\nc' $'a\nb\nc'
	excerpt_of $'a\n\t...\nc' $'a\nb\nc'
	run ! excerpt_of $'a\nc' $'a\nb\nc'
	run ! excerpt_of $'c\n...\na' $'a\nb\nc'
	run ! excerpt_of b abc
	run ! excerpt_of $'\tb' $'a\nb\nc'
	excerpt diff $' a\n-b\n+c' <(printf 'a\nb\n') <(printf 'a\nc\n')
	run ! excerpt diff $' a\n-b\n+c' <(printf 'a\nc\n') <(printf 'a\nc\n')
	run ! excerpt c a
	run ! as_shown $'a: 1\nb' $'a: 2\nb'
	run ! as_shown $'b\n...' $'a\nb\nc'
	as_shown $'a\n...' $'a\nb\nc'
}

# fenced FILE: the file's blocks, each begun by what follows on the first ``` and ended by an ASCII record separator.
fenced() {
	awk 'inside && /^```$/ { inside = 0; printf "%s\036", block; next }
		inside { block = block "\n" $0; next }
		/^```/ { inside = 1; block = substr($0, 4) }' "$1"
}

@test "every excerpt in the lessons is in its source, and every drawing fits" {
	local lesson block language rest failed=0 count=0

	for lesson in day0[1-9]-*/README.md; do
		while IFS= read -r -d $'\036' block; do
			read -r language rest <<<"${block%%$'\n'*}"
			# shellcheck disable=SC2086 # names of files
			excerpt "${language:-none}" "${block#*$'\n'}" $rest || {
				echo "$lesson: \`\`\`$language $rest"
				failed=1
			}
			count=$((count + 1))
		done < <(fenced "$lesson")
	done
	((failed == 0 && count > 50))
}

@test "every drawing is shown, tells in words what it shows, and can be read on a phone, in light and dark" {
	local drawing text what count=0

	for drawing in day0*-*/*.svg; do
		echo "$drawing"
		tr '\n' ' ' <"${drawing%/*}/README.md" | grep -qE "!\[[^]]{12,}\]\(${drawing#*/}\) "
		text=$(<"$drawing")
		for what in 'viewBox="0 0 400 ' 'role="img"' '<title id="title">' '<desc id="desc">' '@media (prefers-color-scheme: dark)'; do
			[[ "$text" == *"$what"* ]]
		done
		# Letters of 14 pixels or more, and letters they are, not their outlines.
		[ -z "$(grep -oE 'font(-size)?[:=] ?"?[0-9]+' "$drawing" | grep -oE '[0-9]+$' | awk '$1 < 14')" ]
		[ "$(grep -c '<text' "$drawing")" -ge 5 ]
		count=$((count + 1))
	done
	((count >= 6))
}

# words_before_second_command FILE: of its text, without what is in blocks.
words_before_second_command() {
	awk '/^```/ { inside = !inside; console = /^```console$/; next }
		inside && console && /^\$ / && ++commands == 2 { exit }
		!inside { words += NF }
		END { print words }' "$1"
}

@test "a lesson lets its reader type a second command within 1,000 words, and leads to the next" {
	local lesson words lessons

	lessons=(day0*-*/README.md)
	for lesson in "${lessons[@]:0:3}"; do
		words=$(words_before_second_command "$lesson")
		echo "$lesson: $words words"
		((words > 50 && words <= 1000))
		grep -qx "## What's still missing" "$lesson"
		tail -n 2 "$lesson" | grep -q 'Next: \[day '
	done
}

# anchors FILE: those that its headings get on GitHub.
anchors() {
	awk '/^```/ { inside = !inside } /^#+ / && !inside' "$1" | sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g' |
		tr '[:upper:]' '[:lower:]' | sed -E 's/[^[:alnum:] _-]//g; s/ /-/g' |
		awk '{ print $0 (seen[$0]++ ? "-" seen[$0] - 1 : "") }'
}

# links FILE: the targets of its links, without those in code, to other sites, and into a recorded run (<run:...>, which
# tests/site.bats follows).
links() {
	awk '/^ *```/ { inside = !inside } !inside' "$1" | sed -E 's/`[^`]*`//g' |
		grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^<?[a-z]+:' || true
}

@test "every link between the texts leads somewhere" {
	local file link target failed=0 count=0
	local -A anchors # of each target, line by line

	while IFS= read -r file; do
		while IFS= read -r link; do
			target=./$file
			target=${target%/*}/${link%%#*}
			[ -n "${link%%#*}" ] || target=$file
			[ ! -d "$target" ] || [[ "$link" != *#* ]] || target+=/README.md
			if [ -e "$target" ] && [[ "$link" == *#* ]] && [ -z "${anchors[$target]:-}" ]; then
				anchors[$target]=$'\n'$(anchors "$target")$'\n'
			fi
			if [ ! -e "$target" ] ||
				{ [[ "$link" == *#* ]] && [[ "${anchors[$target]}" != *$'\n'"${link#*#}"$'\n'* ]]; }; then
				echo "$file: $link"
				failed=1
			fi
			count=$((count + 1))
		done < <(links "$file")
	done < <(find . -name '*.md' ! -path './build/*' ! -path './my/*' ! -path '*/node_modules/*' -printf '%P\n')
	((failed == 0 && count > 100))
	for file in day0[1-9]-*/; do
		grep -qF "](${file}" README.md
	done
}

@test "the kernel that a day needs is the same in its source, its lesson and the table of days" {
	local lesson needs

	for lesson in day0[1-9]-*/README.md; do
		# The day's main program is the one that is called like the day.
		needs=$(sed -nE 's/^ \* Needs: +Linux ([0-9.]+[0-9]).*/\1/p' "${lesson%/*}/$(sed -E 's/^day..-//' <<<"${lesson%/*}").c")
		echo "$lesson: $needs"
		needs=${needs//./\\.}
		grep -qE "^\**Needs:?\** Linux $needs([^0-9.]|\.[^0-9]|\.?$)" "$lesson"
		grep -F "](${lesson})" README.md | grep -qE "\W$needs\W"
	done
}

@test "docs/install.md says from which day on each part of common/ is used" {
	local header day files

	for header in common/*.h; do
		[ "$header" != common/names.h ] || continue # probe's alone, which is a tool
		files=(day0[1-9]-*/*.c)
		day=$(grep -l "\"$header\"" "${files[@]}" | head -n 1)
		if [ -z "$day" ]; then # a part of another part, which has to name it
			grep -qF "](../$header)" docs/install.md
			continue
		fi
		grep -q "^| $((10#${day:3:2})) | \[${header#common/}\](../$header) |" docs/install.md || { echo "$header: from $day on"; false; }
	done
}

# diff_of OLD NEW MOST: at most MOST lines are removed and added, and the lesson beside NEW gives both numbers.
diff_of() {
	local gone new lesson

	gone=$(diff "$1" "$2" | grep -c '^<' || true)
	new=$(diff "$1" "$2" | grep -c '^>' || true)
	echo "$1 -> $2: $gone lines removed and $new added, at most $3 together"
	((gone + new <= $3))
	lesson=${2%/*}/README.md
	[ ! -e "$lesson" ] || grep -qF "$gone lines removed and $new added" "$lesson"
}

@test "one idea a day: the sources, and what is new from one day to the next, stay as small as they are" {
	local source most lines

	while read -r source most; do
		lines=$(wc -l <"$source")
		echo "$source: $lines lines, at most $most"
		((lines <= most))
	done <<-END
		day01-setup/batch.c 105
		day01-setup/setup.c 175
		day01-setup/sqpoll.c 125
		day02-registered-files/registered-files.c 205
		day03-accept/accept.c 200
		day03-accept/poll-accept.c 140
		day04-event-loop/event-loop.c 310
		day05-echo/echo.c 500
		day06-deadlines/deadlines.c 630
		day07-proxy/proxy.c 620
		day08-web/web.c 620
		day09-cores/cores.c 680
	END
	diff_of day04-event-loop/event-loop.c day05-echo/echo.c 270
	diff_of day05-echo/echo.c day06-deadlines/deadlines.c 190
	diff_of day08-web/web.c day09-cores/cores.c 190
}
