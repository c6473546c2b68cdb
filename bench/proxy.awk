# What the proxies cost, as a table for people: medians, and each in terms of day 7's.
# Usage: awk -f bench/statistics.awk -f bench/proxy.awk samples.csv

function row(load, text, divisor,    own, programs, i, cost) {
	own = median_of("proxy-" load, "server_ns_per_message", "proxy")
	if (own == "")
		return
	if (!shown++)
		printf "\nday 7, CPU time of a proxy:\n  %-44s %9s %16s %16s\n", "", "day 7", "nginx", "haproxy"
	printf "  %-44s %9s", text, short(own / divisor)
	split("nginx haproxy", programs)
	for (i = 1; i <= 2; i++) {
		cost = median_of("proxy-" load, "server_ns_per_message", programs[i])
		if (cost == "")
			printf " %16s", "not installed"
		else
			printf " %7s (%5s x)", short(cost / divisor),
			       short(1 / median_ratio("proxy-" load, "server_ns_per_message", "proxy", programs[i]))
	}
	print ""
}

END {
	row("requests-50", "a round trip, 50 connections, 512 B: us", 1000)
	row("requests-500", "a round trip, 500 connections, 512 B: us", 1000)
	row("stream-4", "a GB each way, 4 connections: s", 65536)
	row("connect", "connect, 64 B, close: us", 1000)
}
