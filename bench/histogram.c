#include "bench/histogram.h"

#include <stddef.h>

static size_t bucket_of(uint64_t value)
{
	const unsigned sub_bits = HISTOGRAM_SUB_BITS;
	unsigned doublings;
	size_t bucket;

	if (value < 2U << sub_bits)
		return (size_t)value;
	doublings = 63U - (unsigned)__builtin_clzll(value) - sub_bits;
	bucket = ((size_t)doublings << sub_bits) + (size_t)(value >> doublings);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The greatest value that falls into `bucket`. */
static uint64_t upper_end(size_t bucket)
{
	const unsigned sub_bits = HISTOGRAM_SUB_BITS;
	size_t doublings = bucket >> sub_bits;

	if (doublings < 2)
		return bucket;
	doublings--;
	return ((bucket - (doublings << sub_bits) + 1) << doublings) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[bucket_of(value)]++;
	histogram->total++;
	if (value > histogram->most)
		histogram->most = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	double wanted = (double)histogram->total * percent / 100;
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > 0 && (double)seen >= wanted)
			return upper_end(i) < histogram->most ? upper_end(i) : histogram->most;
	}
	return histogram->most;
}
