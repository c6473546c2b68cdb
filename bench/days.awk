# What the days claim, as a table for people.
# Usage: awk -f bench/statistics.awk -f bench/days.awk samples.csv

function operations(variant, text, to,    rate) {
	rate = median_of("days", "operations_per_s", variant)
	if (rate == "")
		return
	printf "  %-34s %6s million/s, %4.0f ns each%s\n", text, short(rate / 1e6), 1e9 / rate,
	       to ? sprintf(", %s times the first", short(median_ratio("days", "operations_per_s", variant, to))) : ""
}

function accepting(program,    rate) {
	rate = median_of("day3", "messages_per_s", program)
	printf "  %-34s %6s thousand connections/s, %s us of CPU and %s system calls each%s\n", program,
	       short(rate / 1000), short(median_of("day3", "server_ns_per_message", program) / 1000),
	       short(median_of("day3", "calls_per_message", program)),
	       (median_of("day3", "load_saturated", program) > 0 ? " *" : "")
}

function looping(connections,    load) {
	load = "day4-" connections
	printf "  %4d connections %18s %6s thousand messages/s, %s system calls each\n", connections, "",
	       short(median_of(load, "messages_per_s", "event-loop") / 1000),
	       short(median_of(load, "calls_per_message", "event-loop"))
}

function messages(program) {
	printf "  %-34s %6s us of CPU a message%s\n", program,
	       short(median_of("day56", "server_ns_per_message", program) / 1000),
	       (program == "deadlines" ? sprintf(", %s times the first", short(median_ratio("day56", "server_ns_per_message", "deadlines", "echo"))) : "")
}

END {
	if (median_of("days", "operations_per_s", "nop_1") != "") {
		print "\nday 1, batching:"
		operations("nop_1", "NOP, one a submit", "")
		operations("nop_32", "NOP, 32 a submit", "nop_1")
		operations("nop_sqpoll", "NOP, 32 a submit, SQPOLL", "nop_1")
		print "day 2, registered files:"
		operations("read_descriptor", "read, descriptor", "")
		operations("read_slot", "read, slot", "read_descriptor")
		operations("read_registered_ring", "read, slot, registered ring", "read_descriptor")
	}
	if (median_of("day3", "messages_per_s", "accept") != "") {
		print "day 3, accepting:"
		accepting("poll-accept")
		accepting("accept")
	}
	if (median_of("day4-1", "messages_per_s", "event-loop") != "") {
		print "day 4, the loop:"
		looping(1)
		looping(10)
		looping(100)
		looping(1000)
	}
	if (median_of("day56", "server_ns_per_message", "deadlines") != "") {
		print "day 6, the deadlines (500 connections, 512 B):"
		messages("echo")
		messages("deadlines")
	}
}
