#!/usr/bin/env bats
# What people get wrong (mistakes/README.md): each program makes its symptom happen, and its cure cures it.
# Both are judged by the program, whose exit status is 0 when what its last line says was seen.

load helpers

# mistake NAME LINE...: run wrong it prints these lines, among others, in this order, each an extended regular
# expression; run with --cured it says that it is cured.
mistake() {
	local name=$1 line text

	run timeout 20 "./mistakes/$name"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == "seen: "* ]]
	text=$output
	for line in "${@:2}"; do
		grep -Eq -- "$line" <<<"$text"
		text=$(sed -E "1,/${line//\//\\/}/d" <<<"$text")
	done

	run timeout 20 "./mistakes/$name" --cured
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" == "cured: "* ]]
}

@test "every mistake has a section and a test, and the index leads to each" {
	local name

	for name in $(make mistake | sed 's/.*one of: //'); do
		grep -q "^### $name\$" mistakes/README.md
		[ "$name" = old-lore ] || grep -q "](#$name)" mistakes/README.md
		grep -Eq "^	(mistake )?(\./mistakes/)?$name( |\$)" "$BATS_TEST_FILENAME"
	done
}
