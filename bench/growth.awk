# How the servers do as connections grow, as CSV for the plot: medians.
# Usage: awk -f bench/statistics.awk -f bench/growth.awk samples.csv

FILENAME ~ /samples\.csv$/ && $0 ~ /^growth-/ {
	split($0, field, /[-,]/)
	if (!(field[2] in seen)) {
		seen[field[2]] = 1
		connections[++count] = field[2] + 0
	}
}

END {
	print "connections,epoll_messages_per_s,io_uring_messages_per_s,epoll_cpu_us,io_uring_cpu_us," \
	      "epoll_p50_us,io_uring_p50_us"
	for (i = 1; i <= count; i++) {
		load = "growth-" connections[i]
		print connections[i] "," median_of(load, "messages_per_s", "epoll") "," \
		      median_of(load, "messages_per_s", "io_uring") "," \
		      median_of(load, "server_ns_per_message", "epoll") / 1000 "," \
		      median_of(load, "server_ns_per_message", "io_uring") / 1000 "," \
		      median_of(load, "p50_us", "epoll") "," median_of(load, "p50_us", "io_uring")
	}
}
