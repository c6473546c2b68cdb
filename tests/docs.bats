#!/usr/bin/env bats
# The pages of docs/ hold what they say: links lead somewhere, excerpts are in the programs they name, what
# a page shows a program print is what it prints, and every word of the glossary is one that the texts use.

load helpers

setup_file() {
	make -s -j "$(nproc)" snippets
}

# links FILE: where the file's links go, without those to other sites.
links() {
	grep -oE '\]\([^)]+\)' "$1" | sed -E 's/^\]\((.*)\)$/\1/' | grep -v '^https\?:'
}

# anchors FILE: what its headings can be linked by.
anchors() {
	sed -nE 's/^#+ +//p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9_ -]//g; s/ /-/g'
}

# console_blocks FILE: "$ COMMAND" and what it prints, each block ended by a record separator.
console_blocks() {
	sed -E 's/^ +(```|\$ )/\1/' "$1" | awk '
		/^```console$/ { inside = 1; next }
		inside && /^```$/ { inside = 0; print "\036"; next }
		inside'
}

# A page may indent a block, as part of a list.
unindented() {
	sed 's/^ *//'
}

# excerpts FILE: the C blocks, each with the file that was linked last before it and ended by a record
# separator; without indentation.
excerpts() {
	awk '
		/^```c$/ { inside = 1; print "file " file; next }
		inside && /^```$/ { inside = 0; print "\036"; next }
		inside { sub(/^[ \t]+/, ""); print; next }
		match($0, /\(snippets\/[a-z0-9.-]+\.c\)/) { file = substr($0, RSTART + 1, RLENGTH - 2) }' "$1"
}

# contains FILE: whether the lines on standard input follow one another in the file, whatever the
# indentation.
contains() {
	local wanted

	wanted=$(cat)
	sed -E 's/^[ \t]+//' "$1" | WANTED=$wanted awk '
		{ text = text "\n" $0 }
		END { exit index(text "\n", "\n" ENVIRON["WANTED"] "\n") == 0 }'
}

@test "every link of docs/ leads to a file, and to a heading in it" {
	local page link file anchor count=0

	for page in docs/*.md; do
		while read -r link; do
			file=${link%%#*}
			anchor=
			[[ "$link" != *'#'* ]] || anchor=${link#*#}
			file=${file:+docs/$file}
			echo "$page: $link"
			[ -e "${file:-$page}" ]
			[ -z "$anchor" ] || anchors "${file:-$page}" | grep -qxF "$anchor"
			count=$((count + 1))
		done < <(links "$page")
	done
	((count > 50))
}

@test "what docs/ shows its programs print is what they print" {
	local page line command expected printed status count=0

	for page in docs/*.md; do
		while IFS= read -r line <&4; do
			if [[ "$line" == '$ '* ]]; then
				command=${line#'$ '}
				expected=
			elif [ "$line" != $'\036' ]; then
				expected+=$line$'\n'
			else
				status=0
				printed=$(timeout 20 "$command" 2>&1 3>&-) || status=$?
				count=$((count + 1))
				echo "$page: $command"
				if [ "$status" -eq 77 ]; then
					echo "# not shown: $command $printed" >&3
					continue
				fi
				[ "$status" -eq 0 ]
				diff <(unindented <<<"${expected%$'\n'}") <(unindented <<<"$printed")
			fi
		done 4< <(console_blocks "$page")
	done
	((count > 10))
}

@test "every excerpt in docs/ is in the program that it is of, and every program is shown" {
	local page line file excerpt count=0

	for page in docs/*.md; do
		while IFS= read -r line <&4; do
			if [[ "$line" == 'file '* ]]; then
				file=docs/${line#file }
				excerpt=
			elif [ "$line" != $'\036' ]; then
				excerpt+=$line$'\n'
			else
				echo "$page: $file: $excerpt"
				contains "$file" <<<"${excerpt%$'\n'}"
				count=$((count + 1))
			fi
		done 4< <(excerpts "$page")
	done
	((count > 10))

	for file in docs/snippets/*.c; do
		echo "shown: $file"
		cat docs/*.md | grep -qF "(${file#docs/})"
	done
}

@test "what docs/kernels.md says of this kernel is what happens, and of another what happened on one" {
	local line program='' printed versions expected release count=0 known

	release=$(uname -r)
	while IFS= read -r line <&4; do
		if [[ "$line" == *'](snippets/'* ]]; then
			[ -z "$program" ] || [ "$known" = true ]
			program=docs/$(sed -E 's/.*\((snippets\/[a-z-]+)\.c\).*/\1/' <<<"$line")
			known=false
			printed=$(timeout 20 "./$program" 2>&1 3>&-) || [ $? -eq 77 ]
			[[ "$printed" != 'needs '* ]] || known=true
			echo "$program: $printed"
			count=$((count + 1))
		elif [[ "$line" =~ ^'| '(6\.[^|]*)' | '(.*)' |'$ ]]; then
			versions=", ${BASH_REMATCH[1]},"
			expected=${BASH_REMATCH[2]}
			[ "$printed" != "$expected" ] || known=true
			if [[ "$release" =~ ^(6\.(1|12|18))\. && "$versions" == *", ${BASH_REMATCH[1]},"* ]]; then
				[ "$printed" = "$expected" ]
			fi
		fi
	done 4<docs/kernels.md
	[ "$known" = true ]
	((count > 5))
}

@test "every word of the glossary is used in a lesson or beside them, and is where the alphabet has it" {
	local word

	while read -r word; do
		echo "word: $word"
		cat day0[1-9]-*/README.md docs/[!g]*.md | tr '\n' ' ' | grep -qiE -- "\\<$word"
	done < <(sed -n 's/^### //p' docs/glossary.md | tr ',' '\n' | sed 's/^ //')
	sed -n 's/^### //p' docs/glossary.md | LC_ALL=C.UTF-8 sort -fc
}

@test "every error that is provoked, or that a mistake ends in, is on the page of errors" {
	local name count=0

	while read -r name; do
		echo "error: $name"
		grep -qF "| \`$name\` |" docs/errors.md
		count=$((count + 1))
	done < <({
		./docs/snippets/errors | grep -oE '^E[A-Z0-9]+'
		grep -oE '`E[A-Z0-9]+`' mistakes/README.md | tr -d '`'
	} | sort -u)
	((count > 10))
	grep -oE '^\| `E[A-Z0-9]+' docs/errors.md | LC_ALL=C sort -c
}

@test "every operation of the cheat sheet is one that liburing can prepare" {
	local header name count=0

	header=$(pkg-config --variable=includedir liburing)/liburing.h
	while read -r name; do
		echo "operation: $name"
		grep -q "io_uring_prep_$name(" "$header"
		count=$((count + 1))
	done < <(sed -n '/^## Operations/,/^## /p' docs/card.md | sed -n 's/^| \(`[^|]*\)|.*/\1/p' |
		grep -oE '(^|, )`[a-z0-9_]+' | grep -oE '[a-z0-9_]+$')
	((count > 20))
}

@test "the figures on when not to use io_uring are those of the benchmark" {
	local load count=0

	while read -r load; do
		echo "figure: $load"
		grep -qF "$load" bench/README.md
		count=$((count + 1))
	done < <(sed -n '/^## When not/,$s/^\(| .* | [0-9.]*\) |$/\1/p' docs/left-out.md)
	((count > 3))
}

# steps FILE: what the picture of a run says has happened, and with how many calls.
steps() {
	sed -n 's/.*<desc id="desc">\(.*\)<\/desc>.*/\1/p' "$1"
}

@test "the README's picture is what its recording makes, still for whoever wants that, and small" {
	command -v python3 >/dev/null || skip "no python3"
	tools/animate <docs/ring.log | diff - docs/ring.svg
	(($(wc -c <docs/ring.svg) <= 20480))
	grep -qF '](docs/ring.svg)' README.md
	# Nothing moves but where motion is welcome, and nothing for ever.
	[ "$(sed '/^@media(prefers-reduced-motion:no-preference)/,/<\/style>/d' docs/ring.svg | grep -cE 'animation(-[a-z]+)?:')" -eq 0 ]
	run ! grep -E 'infinite|<script|<animate|href' docs/ring.svg
	tests/labels docs/ring.svg
	# What the last one relies on: words that are moved onto others are found out.
	sed 's/<text x="28" y="297"/<text x="12" y="297"/' docs/ring.svg >"$BATS_TEST_TMPDIR/moved.svg"
	run tests/labels "$BATS_TEST_TMPDIR/moved.svg"
	[ "$status" -eq 1 ]
	[[ "$output" == *'on top of one another: calls to io_uring_enter | 0'* ]]
}

@test "what the README's picture shows is still what day 5's server does" {
	local try

	command -v python3 >/dev/null || skip "no python3"
	make -s day05 ringtrace
	[ -n "$(steps docs/ring.svg)" ]
	# On a busy machine two things may be found by one call.
	for try in 1 2 3 4 5; do
		tools/animate --record | tools/animate >"$BATS_TEST_TMPDIR/now.svg"
		[ "$(steps "$BATS_TEST_TMPDIR/now.svg")" != "$(steps docs/ring.svg)" ] || return 0
	done
	diff <(steps docs/ring.svg) <(steps "$BATS_TEST_TMPDIR/now.svg")
}

@test "a run that can't be drawn is refused" {
	command -v python3 >/dev/null || skip "no python3"
	run tools/animate < <(sed 's/DEFER_TASKRUN/SQPOLL/' docs/ring.log)
	[ "$status" -eq 1 ]
	[[ "$output" == "animate: "*"can't be drawn" ]]
	run tools/animate < <(sed 's/ring 1 /ring 2 /' docs/ring.log)
	[ "$status" -eq 1 ]
	run tools/animate < <(head -n 8 docs/ring.log)
	[ "$status" -eq 1 ]
	[ "$output" = "animate: the run has no client that leaves" ]
}

@test "the README counts the mistakes and the exercises as they are" {
	local mistakes claimed days

	mistakes=$(grep -cE '^\| .* \| \[[a-z0-9-]+\]\(#[a-z0-9-]+\) \|$' mistakes/README.md)
	claimed=$(sed -nE 's/.*\bmore than ([0-9]+) \[common mistakes\]\(mistakes\/README\.md\).*/\1/p' README.md)
	echo "mistakes: $mistakes, claimed: more than $claimed"
	((mistakes > claimed && mistakes <= claimed + 10))
	days=$(find . -maxdepth 1 -name 'day0[1-9]-*' | wc -l)
	[ "$(find exercises -maxdepth 1 -name '[1-9].[1-3]-*' | wc -l)" -eq $((3 * days)) ]
	grep -q 'Each day has three \[exercises\](exercises/README.md)' <(tr '\n' ' ' <README.md | tr -s ' ')
}

@test "the README installs what docs/install.md lists for Debian" {
	local readme install

	readme=$(tools/readme-block 1 | sed -n 's/.*apt-get install -y \(.*\) && make tour$/\1/p')
	install=$(sed -n 's/^| Debian [^|]*| `apt-get install \([^`]*\)` |$/\1/p' docs/install.md)
	[ -n "$readme" ]
	[ "$readme" = "$install" ]
}
