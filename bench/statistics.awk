# Shared by the other scripts: samples, and their median, smallest and largest value.

# Sorts values[1..count] in place.
function sort(values, count,    i, j, value) {
	for (i = 2; i <= count; i++) {
		value = values[i]
		for (j = i - 1; j >= 1 && values[j] > value; j--)
			values[j + 1] = values[j]
		values[j + 1] = value
	}
}

# Of values[1..count], which it sorts.
function median(values, count) {
	sort(values, count)
	if (count % 2)
		return values[(count + 1) / 2]
	return (values[count / 2] + values[count / 2 + 1]) / 2
}

# A round during which something else took much of a CPU measures that, so it's left out if enough others are left.
function counts(load, round,    i, good) {
	if (!((load, round) in disturbed))
		return 1
	for (i = 1; i <= rounds; i++)
		good += (load, i) in measured && !((load, i) in disturbed)
	return good < 3
}

# Fills values[] with what was measured of a load, in the order of the rounds; returns how many. What isn't
# measured in rounds, such as the system calls, has round 0, which never counts as disturbed.
function samples_of(load, figure, server, values,    round, count) {
	for (round = 0; round <= rounds; round++)
		if ((load, figure, server, round) in samples && counts(load, round))
			values[++count] = samples[load, figure, server, round]
	return count + 0
}

# The same for the ratio of two servers, round by round.
function ratios_of(load, figure, server, to, values,    round, count) {
	for (round = 0; round <= rounds; round++)
		if ((load, figure, server, round) in samples && samples[load, figure, to, round] > 0 &&
		    counts(load, round))
			values[++count] = samples[load, figure, server, round] / samples[load, figure, to, round]
	return count + 0
}

function median_of(load, figure, server,    values, count) {
	count = samples_of(load, figure, server, values)
	return count ? median(values, count) : ""
}

function median_ratio(load, figure, server, to,    values, count) {
	count = ratios_of(load, figure, server, to, values)
	return count ? median(values, count) : ""
}

# A number with three digits that count.
function short(number) {
	if (number == "")
		return "-"
	if (number == 0)
		return "0"
	if (number < 0.1)
		return sprintf("%.3f", number)
	if (number < 10)
		return sprintf("%.2f", number)
	if (number < 100)
		return sprintf("%.1f", number)
	return sprintf("%.0f", number)
}

# samples.csv: load,round,server,figure,value
FILENAME ~ /samples\.csv$/ && FNR > 1 {
	split($0, field, ",")
	samples[field[1], field[4], field[3], field[2]] = field[5] + 0
	measured[field[1], field[2]] = 1
	if (field[4] == "disturbed" && field[5])
		disturbed[field[1], field[2]] = 1
	if (field[2] + 0 > rounds)
		rounds = field[2] + 0
}
