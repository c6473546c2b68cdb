# Runs once before all tests: builds what they need, says once if there is no io_uring here, and sees to it
# that no test lasts for ever.

SECONDS_AT_MOST=300
export LC_ALL=C # what the tests read must not depend on the locale

setup_suite() {
	cd "${BASH_SOURCE[0]%/*}/.." || return 1 # bats 1.7 has no BATS_TEST_DIRNAME here
	# As many jobs as processors; bats shows this output only when it fails.
	make -j "$(nproc)" all bench-programs mistakes test-programs || return 1
	if ! ./day01/probe --days; then
		echo "# The tests need io_uring; the lines above say what is missing here." >&2
		return 1
	fi
	end_what_hangs "$$" </dev/null >/dev/null 2>&1 3>&- 4>&- &
	WATCHDOG=$!
}

teardown_suite() {
	[ -z "${WATCHDOG:-}" ] || kill "$WATCHDOG" || true
}

# end_what_hangs BATS: while this process lives, kills every process of a test that is older than the limit.
# The test fails then, of what it expected of that process. What a test has started is known by the test's
# folder in its environment.
end_what_hangs() {
	local pid

	while kill -0 "$1"; do
		for pid in $(grep -lsz "^BATS_TEST_TMPDIR=$BATS_RUN_TMPDIR/" /proc/[0-9]*/environ | tr -dc '0-9\n'); do
			# It may be gone by now.
			(($(age_of "$pid") + 0 <= SECONDS_AT_MOST)) || kill -KILL "$pid" || true
		done
		sleep 1
	done
}

# The age of a process in seconds: field 22 of its stat says when it was born, in hundredths of a second.
age_of() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ getline uptime <"/proc/uptime"; print int(uptime - $20 / 100) }'
}
