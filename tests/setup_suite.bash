# Runs once before all tests: builds what they need, and says once if there is no io_uring here.

setup_suite() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	# As many jobs as processors; bats shows this output only when it fails.
	make -j "$(nproc)" all bench-programs mistakes test-programs || return 1
	if ! ./day01/probe --days; then
		echo "# The tests need io_uring; the lines above say what is missing here." >&2
		return 1
	fi
}
