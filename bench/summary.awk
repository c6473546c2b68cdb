# The comparison of a server with another, as a table for people (table=1) or as CSV: for each load and figure the median of each
# server with its smallest and largest value, the ratio taken round by round, and the goal.
# Usage: awk -f bench/statistics.awk -f bench/summary.awk -v table=1 -v other=epoll TITLES FIGURES samples.csv

BEGIN { FS = "|" }

FNR == 1 { part++ }
part == 1 { title[$1] = $2 }
part == 2 {
	load[++count] = $1
	figure[count] = $2
	label[count] = $3
	divisor[count] = $4
	goal[count] = $5
}

# Sets middle, least and most; false if nothing was measured.
function summarize(values, number, divide_by) {
	if (!number)
		return 0
	middle = median(values, number) / divide_by
	least = values[1] / divide_by
	most = values[number] / divide_by
	return 1
}

function spread(number) {
	return number > 1 ? sprintf("%s (%s-%s)", short(middle), short(least), short(most)) : short(middle)
}

# "ratio <= 0.97", "io_uring <= 64" or "stream-4 <= 1.3": which figure (the last: that of io_uring divided by
# its figure under another load), which way, how much. Ratios are compared as they're shown, to a
# hundredth, because no two runs agree more closely than that.
function verdict(i, of_ratio, of_io_uring,    part, value, alone) {
	if (!goal[i])
		return ""
	split(goal[i], part, " ")
	if (part[1] == "io_uring") {
		value = of_io_uring
	} else if (part[1] == "ratio") {
		value = of_ratio
	} else {
		alone = median_of(part[1], figure[i], "io_uring")
		value = alone == "" || of_io_uring == "" ? "" : of_io_uring * divisor[i] / alone
	}
	if (value == "")
		return "not measured"
	if (part[1] != "io_uring")
		value = sprintf("%.2f", value) + 0
	return (part[2] == "<=" ? value <= part[3] + 0 : value >= part[3] + 0) ? "reached" : "missed"
}

function goal_text(goal,    part) {
	if (!goal)
		return ""
	split(goal, part, " ")
	return (part[2] == "<=" ? "at most " : "at least ") part[3] \
	       (part[1] in title ? " times " title[part[1]] : "")
}

function csv(number,    i, text) {
	return number ? middle "," least "," most : ",,"
}

END {
	if (!table)
		print "load,figure," other "," other "_least," other "_most,io_uring,io_uring_least,io_uring_most," \
		      "ratio,ratio_least,ratio_most,goal,verdict,load_saturated"
	for (i = 1; i <= count; i++)
		row(i)
	if (table && any_saturated)
		print "\n* the load generator was at its limit: the server may be able to do more"
	for (key in measured)
		all++
	for (key in disturbed)
		bad++
	if (table && bad)
		printf "\nWARNING: in %d of %d rounds something else took more than 5%% of a CPU\n", bad, all
}

function row(i,    values, number, others, ours, ratio, of_ratio, of_ours, saturated) {
	number = samples_of(load[i], figure[i], other, values)
	summarize(values, number, divisor[i])
	others = table ? (number ? spread(number) : "-") : csv(number)

	number = samples_of(load[i], figure[i], "io_uring", values)
	of_ours = summarize(values, number, divisor[i]) ? middle : ""
	ours = table ? (number ? spread(number) : "-") : csv(number)

	number = ratios_of(load[i], figure[i], "io_uring", other, values)
	of_ratio = summarize(values, number, 1) ? middle : ""
	ratio = table ? (number ? spread(number) : "-") : csv(number)

	if (others == "-" && ours == "-")
		return
	saturated = median_of(load[i], "load_saturated", other) > 0 || \
		    median_of(load[i], "load_saturated", "io_uring") > 0
	if (!table) {
		print load[i] "," figure[i] "," others "," ours "," ratio "," goal[i] "," \
		      verdict(i, of_ratio, of_ours) "," saturated
		return
	}
	if (!rows++)
		printf "%-35s %-26s %-22s %-22s %-18s %s\n", "load", "figure", other, "io_uring",
		       "ratio", "goal"
	saturated = saturated && figure[i] ~ /per_s$/
	any_saturated = any_saturated || saturated
	printf "%-35s %-26s %-22s %-22s %-18s %s\n", title[load[i]], label[i], others, ours,
	       ratio (saturated ? " *" : ""),
	       goal[i] ? goal_text(goal[i]) ": " verdict(i, of_ratio, of_ours) : ""
}
